"""Queries of metrics over all tenants; indices answer each of them quickly."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import (
    ENDED_JOBS,
    ENDED_STAGES,
    JobRow,
    StageRow,
    StageRunRow,
    StageState,
)
from dealrec.app.tables.schedules import ScheduleRow

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


def schedule_states(session: Session) -> dict[bool, int]:
    """Count the schedules by whether they are active."""
    query = select(ScheduleRow.active, func.count()).group_by(ScheduleRow.active)
    return {row[0]: row[1] for row in session.execute(query)}


def most_overdue(session: Session) -> datetime | None:
    """The earliest due time of an active schedule."""
    return session.scalar(select(func.min(ScheduleRow.next_due)).where(ScheduleRow.active))


def tick_sums(session: Session) -> dict[str, int]:
    """The numbers of ticks of all schedules by what became of them."""
    sums = {name: getattr(ScheduleRow, name) for name in ("made", "missed", "skipped", "failed")}
    found = session.execute(select(*(func.coalesce(func.sum(one), 0) for one in sums.values())))
    return dict(zip(sums, found.one(), strict=True))


def drifted(session: Session, most: int) -> Sequence[Row[str, dict[str, float]]]:
    """The newest versions that have a drift, and that."""
    drift = DatasetRow.report["drift"]
    return session.execute(
        select(DatasetRow.id, drift)
        .where(DatasetRow.parent_id.is_not(None), DatasetRow.state == DatasetState.READY)
        .order_by(DatasetRow.id.desc())
        .limit(most)
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
