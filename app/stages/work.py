"""The work of all tenants: what waits in the queues, what runs, and who looks for work."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from dealrec.app.tables.jobs import StageRow, StageState, WorkerRow


def queued_stages(session: Session) -> Sequence[Row[str, int, datetime | None]]:
    """Count the waiting stages by queue, with the time since when the first one waits."""
    return session.execute(
        select(StageRow.queue, func.count(), func.min(StageRow.queued_at))
        .where(StageRow.state == StageState.QUEUED)
        .group_by(StageRow.queue)
    ).all()


def running_stages(session: Session) -> Sequence[StageRow]:
    """Return the stages that workers have claimed, the earliest first."""
    query = select(StageRow).where(StageRow.state == StageState.RUNNING)
    return session.scalars(query.order_by(StageRow.started_at, StageRow.id)).all()


def known_workers(session: Session) -> Sequence[WorkerRow]:
    """Return the workers that have not said that they ended; see ``workers`` for how long they stay."""
    return session.scalars(select(WorkerRow).order_by(WorkerRow.id)).all()


def worker_queues(session: Session, now: datetime, seconds: float) -> list[list[str]]:
    """Return the queues of each worker that was seen within ``seconds``."""
    since = now - timedelta(seconds=seconds)
    return list(session.scalars(select(WorkerRow.queues).where(WorkerRow.seen_at >= since)))
