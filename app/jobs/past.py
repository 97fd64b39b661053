"""Queries over stages that have finished, from which it follows how long others take."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import ArtifactRow, JobRow, StageRow, StageState
from dealrec.config.stages import StageName, StagePlace

_LATEST = 400
"""How many of the newest rows of finished stages are read."""


class _Found(NamedTuple):
    stage: StageRow
    job: JobRow
    dataset: DatasetRow
    trained_on: int | None


@dataclass(frozen=True)
class Finished:
    """A stage that was computed, and its job; its shards count together."""

    name: StageName
    job: JobRow
    dataset: DatasetRow
    seconds: float
    peak_memory_bytes: int | None
    trained_on: int | None = None
    """The size of the coreset, for a stage of a job that only trains."""


def finished_stages(session: Session, tenant_id: str) -> list[Finished]:
    """Return the tenant's latest stages that succeeded and were neither reused nor resumed.

    Those of jobs that stopped early say nothing of how long the whole takes.
    """
    other = aliased(StageRow)
    stopped = select(other.id).where(
        other.job_id == StageRow.job_id, other.state == StageState.SKIPPED
    )
    rows = session.execute(
        select(StageRow, JobRow, DatasetRow, CoresetRow.size)
        .join(JobRow, StageRow.job_id == JobRow.id)
        .join(DatasetRow, StageRow.dataset_id == DatasetRow.id)
        .outerjoin(CoresetRow, JobRow.source_coreset_id == CoresetRow.id)
        .where(StageRow.tenant_id == tenant_id, StageRow.state == StageState.SUCCEEDED)
        .where(~stopped.exists())
        .order_by(StageRow.finished_at.desc())
        .limit(_LATEST)
    ).all()
    groups: dict[tuple[str, StagePlace], list[_Found]] = {}
    for row in rows:
        found = _Found(*row)
        groups.setdefault((found.job.id, found.stage.place), []).append(found)
    return [_together(group) for group in groups.values() if _whole([one.stage for one in group])]


def made_keys(session: Session, tenant_id: str, keys: Collection[str]) -> set[str]:
    """Return the stage keys under which the tenant has a result."""
    query = select(ArtifactRow.key).where(
        ArtifactRow.tenant_id == tenant_id, ArtifactRow.key.in_(keys)
    )
    return set(session.scalars(query))


def _whole(rows: Sequence[StageRow]) -> bool:
    """Whether all of the stage's rows are here, and each ran once from its beginning to its end."""
    shards = {row.shards for row in rows if row.shards}
    complete = sum(row.shard is not None for row in rows) == max(shards, default=0)
    undisturbed = all(row.attempt == 1 and not row.reused for row in rows)
    return complete and undisturbed and any(row.part is None for row in rows)


def _together(group: Sequence[_Found]) -> Finished:
    rows, first = [one.stage for one in group], group[0]
    seconds = 0.0
    for row in rows:
        if row.started_at is not None and row.finished_at is not None:
            seconds += (row.finished_at - row.started_at).total_seconds()
    peaks = [row.metrics["peak_memory_bytes"] for row in rows if "peak_memory_bytes" in row.metrics]
    peak = int(max(peaks)) if peaks else None
    name = StageName(first.stage.name)
    return Finished(name, first.job, first.dataset, seconds, peak, first.trained_on)


def coreset_size(session: Session, tenant_id: str, coreset_id: str) -> int:
    """Return the size of a tenant's coreset."""
    query = select(CoresetRow.size).where(
        CoresetRow.tenant_id == tenant_id, CoresetRow.id == coreset_id
    )
    return session.scalars(query).one()
