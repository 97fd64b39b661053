"""Queries of metrics over all tenants; indices answer each of them quickly."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from dealrec.app.tables.jobs import (
    ENDED_JOBS,
    ENDED_STAGES,
    JobRow,
    StageRow,
    StageRunRow,
    StageState,
    WorkerRow,
)

EndedRun = Row[str, str, str | None, float, bool]
"""The name, outcome, code and seconds of a run, and whether it used a GPU."""


def open_stages(session: Session) -> Sequence[Row[str, str, int]]:
    """Count the stages that have not ended by stage and state."""
    return session.execute(
        select(StageRow.name, StageRow.state, func.count())
        .where(StageRow.state.in_(set(StageState) - ENDED_STAGES))
        .group_by(StageRow.name, StageRow.state)
    ).all()


def queued_stages(session: Session) -> Sequence[Row[str, int, datetime | None]]:
    """Count the waiting stages by queue, with the time since when the first one waits."""
    return session.execute(
        select(StageRow.queue, func.count(), func.min(StageRow.queued_at))
        .where(StageRow.state == StageState.QUEUED)
        .group_by(StageRow.queue)
    ).all()


def open_jobs(session: Session) -> Sequence[Row[str, int]]:
    """Count the jobs that have not ended by state."""
    return session.execute(
        select(JobRow.state, func.count())
        .where(JobRow.state.not_in(ENDED_JOBS))
        .group_by(JobRow.state)
    ).all()


def worker_queues(session: Session, now: datetime, seconds: float) -> list[list[str]]:
    """Return the queues of each worker that was seen within ``seconds``."""
    since = now - timedelta(seconds=seconds)
    return list(session.scalars(select(WorkerRow.queues).where(WorkerRow.seen_at >= since)))


def ended_runs(session: Session, since: datetime, before: datetime | None) -> Sequence[EndedRun]:
    """Return the runs that ended from ``since`` on."""
    query = select(
        StageRunRow.name,
        StageRunRow.outcome,
        StageRunRow.code,
        StageRunRow.seconds,
        StageRunRow.used_gpu,
    ).where(StageRunRow.ended_at >= since)
    if before is not None:
        query = query.where(StageRunRow.ended_at < before)
    return session.execute(query).all()
