"""Messages that tell the broker of a queued stage; they are only hints, the row is the truth."""

from datetime import timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from dealrec.app.kit.database import database_now
from dealrec.app.kit.dispatch import send_after_commit
from dealrec.app.tables.jobs import StageRow, StageState

TASK = "worker.run_stage"


def wake(session: Session, stage: StageRow) -> None:
    """Tell the broker of a queued stage after the transaction commits."""
    stage.woken_at = database_now(session)
    send_after_commit(session, TASK, stage.id, queue=stage.queue)


def overdue(session: Session, queue: str, seconds: float) -> list[StageRow]:
    """Return the queued stages of ``queue`` whose last wake-up is older than ``seconds``."""
    before = database_now(session) - timedelta(seconds=seconds)
    return list(
        session.scalars(
            select(StageRow)
            .where(
                StageRow.state == StageState.QUEUED,
                StageRow.queue == queue,
                or_(StageRow.woken_at.is_(None), StageRow.woken_at < before),
            )
            .order_by(StageRow.queued_at)
        )
    )
