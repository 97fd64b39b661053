"""Stored folders that no row points to: a run that is killed between upload and commit leaves them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.tables.adapters import AdapterRow
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import ArtifactRow, StageRow, StageState

log = structlog.get_logger(__name__)

_DEPTHS = {"artifacts": 4, "datasets": 4, "coresets": 3, "adapters": 3}
"""Top folder to the number of parts that a prefix has: kind, tenant, id and (of a run) the fence."""
_UPLOADS = "uploads"
_AT_ONCE = 500


def remove_orphans(database: Database, storage: Storage, *, hours: float) -> int:
    """Remove folders without an owner whose newest file is older than ``hours``; returns their number.

    The age is what protects a result that is stored and not yet committed; one of a run that still
    holds its claim is kept however old it is. Files are listed before the rows are asked, so a
    folder that is made in between is not looked at.
    """
    before = datetime.now(UTC) - timedelta(hours=hours)
    old = [
        prefix
        for top in _DEPTHS
        for prefix, newest in _newest(storage, top).items()
        if newest < before
    ]
    removed = 0
    for start in range(0, len(old), _AT_ONCE):
        some = old[start : start + _AT_ONCE]
        with database.session(write=False) as session:
            owned = set(_owned(session, some))
        for prefix in some:
            if prefix not in owned:
                log.warning("orphaned files removed", prefix=prefix)
                storage.delete_prefix(prefix)
                removed += 1
    return removed


def _newest(storage: Storage, top: str) -> dict[str, datetime]:
    """The folders below ``top``, and the time at which each one's newest file was stored."""
    found: dict[str, datetime] = {}
    for key, modified in storage.modified(top):
        prefix = "/".join(key.split("/")[: _DEPTHS[top]])
        found[prefix] = max(modified, found.get(prefix, modified))
    return found


def _owned(session: Session, prefixes: list[str]) -> Iterator[str]:
    for table in (ArtifactRow, DatasetRow, CoresetRow, AdapterRow):
        query = select(table.prefix).where(table.prefix.in_(prefixes))
        yield from (prefix for prefix in session.scalars(query) if prefix)
    by_id: dict[str, list[str]] = {}
    for prefix in prefixes:
        by_id.setdefault(prefix.split("/")[2], []).append(prefix)
    # The files that a data set was made from are its own as long as it is there.
    for identifier in session.scalars(select(DatasetRow.id).where(DatasetRow.id.in_(by_id))):
        yield from (prefix for prefix in by_id[identifier] if prefix.endswith(f"/{_UPLOADS}"))
    running = select(StageRow.id, StageRow.job_id, StageRow.dataset_id, StageRow.fence).where(
        StageRow.state == StageState.RUNNING
    )
    for row in session.execute(running):
        at = by_id.get(row.id if row.job_id else row.dataset_id, ())  # an ingest writes the latter
        yield from (prefix for prefix in at if prefix.endswith(f"/{row.fence}"))
