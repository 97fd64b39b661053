"""What happened to a job, in order."""

from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from app.jobs.models import EventRow, JobRow
from app.kit.database import DatabaseClock, database_now


def record(
    session: Session, job: JobRow, kind: str, stage: str | None = None, **data: Any
) -> EventRow:
    """Append an event in the caller's transaction; gives it the job's next sequence number.

    The number comes from the job's row, which stays locked until the transaction ends: sequences
    have no gaps and no event is seen before an earlier one. ``data`` never carries row contents.
    """
    session.flush()
    sequence = session.execute(
        update(JobRow)
        .where(JobRow.id == job.id)
        .values(event_count=JobRow.event_count + 1)
        .returning(JobRow.event_count)
        .execution_options(synchronize_session=False)
    ).scalar_one()
    set_committed_value(job, "event_count", sequence)
    event = EventRow(
        tenant_id=job.tenant_id,
        job_id=job.id,
        sequence=sequence,
        kind=kind,
        stage=stage,
        data=data,
        created_at=DatabaseClock(),
    )
    session.add(event)
    return event


def forget_old(session: Session, *, days: float) -> None:
    """Remove the events of jobs that ended more than ``days`` ago; numbers are never used again."""
    before = database_now(session) - timedelta(days=days)
    ended = select(JobRow.id).where(JobRow.finished_at < before)
    session.execute(delete(EventRow).where(EventRow.job_id.in_(ended)))
