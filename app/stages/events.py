"""What happened to a job, in order."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from dealrec.app.kit.database import DatabaseClock, database_now
from dealrec.app.tables.base import Base
from dealrec.app.tables.jobs import EventRow, JobRow

# Made once, and of the tables themselves: every move of a job or a stage makes an event.
_COUNT = (
    update(Base.metadata.tables["jobs"])
    .where(JobRow.id == bindparam("job"))
    .values(event_count=JobRow.event_count + 1)
    .returning(JobRow.event_count)
)
_APPEND = insert(Base.metadata.tables["events"]).values(created_at=DatabaseClock())


def record(session: Session, job: JobRow, kind: str, stage: str | None = None, **data: Any) -> None:
    """Append an event in the caller's transaction; gives it the job's next sequence number.

    The number comes from the job's row, which stays locked until the transaction ends: sequences
    have no gaps and no event is seen before an earlier one. ``data`` never carries row contents.
    """
    session.flush()
    sequence = session.execute(_COUNT, {"job": job.id}).scalar_one()
    set_committed_value(job, "event_count", sequence)
    append(session, job, kind, stage, data)


def append(
    session: Session, job: JobRow, kind: str, stage: str | None, data: Mapping[str, Any]
) -> None:
    """As :func:`record`, where the caller's own update of the job's row has counted the event."""
    event = {
        "tenant_id": job.tenant_id,
        "job_id": job.id,
        "sequence": job.event_count,
        "kind": kind,
        "stage": stage,
        "data": dict(data),
    }
    session.execute(_APPEND, event)


def forget_old(session: Session, *, days: float) -> None:
    """Remove the events of jobs that ended more than ``days`` ago; numbers are never used again."""
    before = database_now(session) - timedelta(days=days)
    ended = select(JobRow.id).where(JobRow.finished_at < before)
    session.execute(delete(EventRow).where(EventRow.job_id.in_(ended)))
