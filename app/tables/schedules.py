"""The tables of schedules: what makes jobs by itself, and what became of each time that it was due."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Float, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dealrec.app.tables.base import Base, Id, Json, TenantOwned, UtcDateTime


class TickOutcome(StrEnum):
    """The outcome of a tick."""

    MADE = "made"
    """It made a job."""
    SKIPPED = "skipped"
    """The job of an earlier tick had not ended."""
    FAILED = "failed"
    """Its job could not be made."""


class ScheduleRow(TenantOwned, Base):
    """A standing request for jobs on the newest version of a data set."""

    __tablename__ = "schedules"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    dataset_id: Mapped[str] = mapped_column(Id)
    """The version that was named; it may have been deleted."""
    root_id: Mapped[str] = mapped_column(Id, index=True)
    """The first version, which all versions name."""
    trigger: Mapped[dict[str, object]] = mapped_column(Json)
    """A :class:`~dealrec.app.schedules.triggers.Trigger`."""
    job: Mapped[dict[str, object]] = mapped_column(Json)
    """The :class:`~dealrec.app.schedules.schemas.ScheduledJob` as it was asked for."""
    active: Mapped[bool]
    paused: Mapped[dict[str, object] | None] = mapped_column(Json)
    """Why the service paused it; null where a person did."""
    next_due: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    """The first due time that no tick has accounted for; null where new data decide, and while paused."""
    seen_version: Mapped[int] = mapped_column(default=0)
    """The number of the newest version that it has accounted for."""
    seen_id: Mapped[str] = mapped_column(Id, default="")
    drift: Mapped[float] = mapped_column(Float, default=0.0)
    """The sum of the drift of the versions since that of its last job, where drift is its trigger."""
    made: Mapped[int] = mapped_column(default=0)
    missed: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    error: Mapped[dict[str, object] | None] = mapped_column(Json)
    """The problem of the last tick, if its job could not be made."""
    last_job_id: Mapped[str | None] = mapped_column(Id)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class TickRow(TenantOwned, Base):
    """One tick. It is written in the transaction that makes its job, and its mark makes it unique."""

    __tablename__ = "schedule_ticks"
    __table_args__ = (UniqueConstraint("schedule_id", "mark"),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    schedule_id: Mapped[str] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"))
    mark: Mapped[str] = mapped_column(String(60))
    """The due time in UTC, the id of the version, or the tick's own id where somebody asked for it."""
    due_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The due time; null where new data decided, or somebody asked for it."""
    dataset_id: Mapped[str | None] = mapped_column(Id)
    """The version that it used; null where there was none."""
    outcome: Mapped[str] = mapped_column(String(20))
    job_id: Mapped[str | None] = mapped_column(Id)
    missed: Mapped[int] = mapped_column(default=0)
    """The number of earlier due times, or versions, in whose place it stands."""
    error: Mapped[dict[str, object] | None] = mapped_column(Json)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)

    @property
    def requested(self) -> bool:
        """Whether somebody asked for it."""
        return self.mark == self.id
