"""The events of a job, in order."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from dealrec.app.kit.database import DatabaseClock, database_now
from dealrec.app.tables.base import Base
from dealrec.app.tables.jobs import EventRow, JobRow
from dealrec.app.webhooks.outbox import write_messages

# Every move of a job or a stage makes an event, so these statements on the tables are built once.
_COUNT = (
    update(Base.metadata.tables["jobs"])
    .where(JobRow.id == bindparam("job"))
    .values(event_count=JobRow.event_count + 1)
    .returning(JobRow.event_count)
)
_APPEND = insert(Base.metadata.tables["events"]).values(created_at=DatabaseClock())


def record(session: Session, job: JobRow, kind: str, stage: str | None = None, **data: Any) -> None:
    """Append an event with the job's next sequence number in the caller's transaction.

    The number comes from the job's row, which stays locked until the transaction ends. Sequences
    therefore have no gaps, and no event becomes visible before an earlier one. ``data``
    never carries row contents.
    """
    session.flush()
    sequence = session.execute(_COUNT, {"job": job.id}).scalar_one()
    set_committed_value(job, "event_count", sequence)
    append(session, job, kind, stage, data)


def append(
    session: Session, job: JobRow, kind: str, stage: str | None, data: Mapping[str, Any]
) -> None:
    """Append an event that the caller's own update of the job's row has counted."""
    event = {
        "tenant_id": job.tenant_id,
        "job_id": job.id,
        "sequence": job.event_count,
        "kind": kind,
        "stage": stage,
        "data": dict(data),
    }
    session.execute(_APPEND, event)
    write_messages(session, job, kind, stage, data)


def forget_old(session: Session, *, days: float) -> None:
    """Remove the events of jobs that ended more than ``days`` ago; their numbers are not reused."""
    before = database_now(session) - timedelta(days=days)
    ended = select(JobRow.id).where(JobRow.finished_at < before)
    session.execute(delete(EventRow).where(EventRow.job_id.in_(ended)))
