"""Queries over schedules and their ticks."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Select, and_, delete, func, or_, select
from sqlalchemy.orm import Session

from dealrec.app.kit.database import database_now
from dealrec.app.kit.repository import TenantRepository
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import ENDED_JOBS, JobRow, JobState
from dealrec.app.tables.schedules import ScheduleRow, TickRow

_OF_IT = and_(
    DatasetRow.tenant_id == ScheduleRow.tenant_id,
    or_(DatasetRow.id == ScheduleRow.root_id, DatasetRow.root_id == ScheduleRow.root_id),
)
_NEWER = or_(
    DatasetRow.version > ScheduleRow.seen_version,
    and_(DatasetRow.version == ScheduleRow.seen_version, DatasetRow.id > ScheduleRow.seen_id),
)


class ScheduleRepository(TenantRepository[ScheduleRow]):
    """Queries the schedules of a tenant."""

    model = ScheduleRow
    noun = "schedule"

    def count(self) -> int:
        """Count the schedules of the tenant."""
        owned = select(func.count()).where(ScheduleRow.tenant_id == self.tenant_id)
        return self.session.scalar(owned) or 0

    def ready(self, schedule: ScheduleRow) -> list[DatasetRow]:
        """Return the versions of the schedule's data set that are ready, newest first."""
        query = self._versions(schedule).where(DatasetRow.state == DatasetState.READY)
        return list(
            self.session.scalars(query.order_by(DatasetRow.version.desc(), DatasetRow.id.desc()))
        )

    def any_version(self, schedule: ScheduleRow) -> bool:
        """Return whether any version of the schedule's data set still exists, in any state."""
        return self.session.scalars(self._versions(schedule).limit(1)).first() is not None

    def _versions(self, schedule: ScheduleRow) -> Select[DatasetRow]:
        of_root = or_(DatasetRow.id == schedule.root_id, DatasetRow.root_id == schedule.root_id)
        return select(DatasetRow).where(DatasetRow.tenant_id == self.tenant_id, of_root)

    def open_job(self, schedule: ScheduleRow) -> str | None:
        """Return the id of a job of the schedule that has not ended; ``None`` if there is none."""
        query = select(JobRow.id).where(
            JobRow.tenant_id == self.tenant_id,
            JobRow.schedule_id == schedule.id,
            JobRow.state.not_in(ENDED_JOBS),
        )
        return self.session.scalars(query.limit(1)).first()

    def last_succeeded(self, schedule: ScheduleRow) -> str | None:
        """Return the id of the newest job of the schedule that has succeeded; ``None`` if there is none."""
        query = select(JobRow.id).where(
            JobRow.tenant_id == self.tenant_id,
            JobRow.schedule_id == schedule.id,
            JobRow.state == JobState.SUCCEEDED,
        )
        return self.session.scalars(query.order_by(JobRow.id.desc()).limit(1)).first()


class TickRepository(TenantRepository[TickRow]):
    """Queries the ticks of one schedule of a tenant."""

    model = TickRow
    noun = "tick"

    def __init__(self, session: Session, tenant_id: str, schedule_id: str) -> None:
        super().__init__(session, tenant_id)
        self._schedule_id = schedule_id

    def query(self) -> Select[TickRow]:
        """Select the ticks of the schedule."""
        return super().query().where(TickRow.schedule_id == self._schedule_id)


def due_schedules(session: Session, now: datetime) -> Sequence[str]:
    """Return the ids of active schedules that are due, have newer data, or have lost all their data."""
    newer = select(DatasetRow.id).where(_OF_IT, DatasetRow.state == DatasetState.READY, _NEWER)
    waits = and_(ScheduleRow.next_due.is_(None), newer.exists())
    gone = ~select(DatasetRow.id).where(_OF_IT).exists()
    query = select(ScheduleRow.id).where(
        ScheduleRow.active, or_(ScheduleRow.next_due <= now, waits, gone)
    )
    return session.scalars(query.order_by(ScheduleRow.id)).all()


def lock_schedule(session: Session, identifier: str) -> ScheduleRow | None:
    """Read the schedule again and lock it until the transaction ends; return ``None`` if it was deleted."""
    return session.scalars(
        select(ScheduleRow)
        .where(ScheduleRow.id == identifier)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()


def forget_old(session: Session, *, days: float) -> None:
    """Remove ticks that were written more than ``days`` ago."""
    before = database_now(session) - timedelta(days=days)
    session.execute(delete(TickRow).where(TickRow.created_at < before))
