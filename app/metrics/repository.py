"""Queries of metrics over all tenants; indices answer each of them quickly."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from dealrec.app.tables.jobs import (
    ENDED_JOBS,
    ENDED_STAGES,
    JobRow,
    StageRow,
    StageRunRow,
    StageState,
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


def open_jobs(session: Session) -> Sequence[Row[str, int]]:
    """Count the jobs that have not ended by state."""
    return session.execute(
        select(JobRow.state, func.count())
        .where(JobRow.state.not_in(ENDED_JOBS))
        .group_by(JobRow.state)
    ).all()


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
