"""Queries over a tenant's use. They count the rows themselves, so no counter can drift."""

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dealrec.app.keys.repository import ensure_tenant
from dealrec.app.kit.database import database_now
from dealrec.app.tables.adapters import AdapterRow
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import ENDED_JOBS, ArtifactRow, JobRow, StageRunRow
from dealrec.app.tables.keys import Tenant
from dealrec.app.tables.uploads import UploadRow

_STORED = (
    (UploadRow, UploadRow.bytes),
    (DatasetRow, DatasetRow.stored_bytes),
    (ArtifactRow, ArtifactRow.stored_bytes),
    (CoresetRow, CoresetRow.stored_bytes),
    (AdapterRow, AdapterRow.stored_bytes),
)


def own_quotas(session: Session, tenant_id: str) -> dict[str, float | None]:
    """Return the tenant's own limits; an unknown tenant has none."""
    return session.scalar(select(Tenant.quotas).where(Tenant.id == tenant_id)) or {}


def lock_tenant(session: Session, tenant_id: str) -> None:
    """Lock the tenant, so that no other transaction checks a quota until this one ends.

    A transaction takes this lock after all its other locks.
    """
    ensure_tenant(session, tenant_id, database_now(session))
    session.execute(select(Tenant.id).where(Tenant.id == tenant_id).with_for_update())


def stored_bytes(session: Session, tenant_id: str | None) -> int:
    """Sum the bytes of everything that a tenant (``None``: all of them) has stored.

    An upload counts with its declared size.
    """
    session.flush()
    total = 0
    for table, column in _STORED:
        query = select(func.sum(column))
        if tenant_id is not None:
            query = query.where(table.tenant_id == tenant_id)
        total += int(session.scalar(query) or 0)
    return total


def open_jobs(session: Session, tenant_id: str) -> int:
    """Count the jobs that have not ended."""
    session.flush()
    query = select(func.count()).where(
        JobRow.tenant_id == tenant_id, JobRow.state.not_in(ENDED_JOBS)
    )
    return session.scalar(query) or 0


def gpu_seconds(session: Session, tenant_id: str, days: float) -> float:
    """Sum the seconds of GPU runs that ended within the last ``days``."""
    since = database_now(session) - timedelta(days=days)
    query = select(func.sum(StageRunRow.seconds)).where(
        StageRunRow.tenant_id == tenant_id, StageRunRow.used_gpu, StageRunRow.ended_at >= since
    )
    return float(session.scalar(query) or 0.0)
