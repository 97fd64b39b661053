"""The schemas of schedules over HTTP."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, StringConstraints, model_validator

from dealrec.app.jobs.schemas import JobCreate, JobOrder
from dealrec.app.kit.schemas import Body
from dealrec.app.naming import Name
from dealrec.app.schedules.triggers import Trigger, next_due, trigger_of
from dealrec.app.tables.schedules import ScheduleRow, TickOutcome, TickRow
from dealrec.config.continuation import Continuation

_SHOWN = 3
"""The number of due times that an answer shows."""
_Id = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class ScheduledJob(JobOrder):
    """The job that each tick makes, on the newest version of the data set that is ready."""

    continue_last: bool = False
    """Whether it goes on from the schedule's last job that succeeded. The first job is a full run, and so is
    one before which none has succeeded or is left."""
    continuation: Continuation | None = None
    """How it goes on from that job."""

    @model_validator(mode="after")
    def _of_a_job(self) -> Self:
        if self.continuation is not None and not self.continue_last:
            raise ValueError("continuation needs continue_last: true")
        return self

    def request(self, dataset_id: str, last: str | None) -> JobCreate:
        """The request of one tick, going on from the job ``last`` where that is asked for."""
        order = self.model_dump(exclude={"continue_last", "continuation"}, exclude_unset=True)
        earlier = last if self.continue_last else None
        how = None if earlier is None else self.continuation
        return JobCreate(**order, dataset_id=dataset_id, continue_from=earlier, continuation=how)


class ScheduleCreate(Body):
    """A request for a schedule."""

    name: Name
    dataset_id: _Id
    """Any version of the data set: each tick uses the newest version that is ready."""
    trigger: Trigger
    job: ScheduledJob


class ScheduleUpdate(Body):
    """Changes of a schedule; what is left out stays."""

    name: Name | None = None
    active: bool | None = None
    """False pauses the schedule, and true resumes it. What came due meanwhile is not made up for."""
    trigger: Trigger | None = None
    """Another trigger counts from now on."""
    job: ScheduledJob | None = None
    """The whole order for a job, in place of the one before."""


class TickCounts(BaseModel):
    """What became of the times that a schedule was due."""

    made: int
    """Ticks that made a job."""
    missed: int
    """Due times, or versions, in whose place a later one was taken: several had come due at once."""
    skipped: int
    """Ticks while the job of an earlier one had not ended."""
    failed: int
    """Ticks whose job could not be made."""


class Schedule(BaseModel):
    """A standing request for jobs on the newest version of a data set."""

    id: str
    object: Literal["schedule"] = "schedule"
    name: str
    dataset_id: str
    trigger: Trigger
    job: dict[str, Any]
    """The order for a job, as it was asked for."""
    active: bool
    paused: dict[str, Any] | None
    """Why the service paused it (``code`` and ``detail``); null where a person did."""
    next_due: list[datetime]
    """The next three due times, in UTC; empty while it is paused, and where new data decide."""
    counts: TickCounts
    drift: float | None
    """Where drift is its trigger: the sum of the drift of the versions since that of its last job."""
    error: dict[str, Any] | None
    """The problem of the last tick, if its job could not be made."""
    last_job_id: str | None
    created_at: datetime

    @classmethod
    def of(cls, row: ScheduleRow) -> Self:
        """Make the schema of a row."""
        trigger = trigger_of(row.trigger)
        further = [] if row.next_due is None else next_due(trigger, row.next_due, _SHOWN - 1)
        return cls(
            id=row.id,
            name=row.name,
            dataset_id=row.dataset_id,
            trigger=trigger,
            job=row.job,
            active=row.active,
            paused=row.paused,
            next_due=[] if row.next_due is None else [row.next_due, *further],
            counts=TickCounts.model_validate(row, from_attributes=True),
            drift=row.drift if trigger.kind == "drift" else None,
            error=row.error,
            last_job_id=row.last_job_id,
            created_at=row.created_at,
        )


class ScheduleTick(BaseModel):
    """One time that a schedule was due, and what became of it."""

    id: str
    object: Literal["schedule_tick"] = "schedule_tick"
    schedule_id: str
    due_at: datetime | None
    """The due time; null where new data decided."""
    dataset_id: str | None
    """The version that it used; null where none was ready."""
    outcome: TickOutcome
    job_id: str | None
    """The job that it made, which may have been deleted."""
    missed: int
    """The number of earlier due times, or versions, in whose place it stands."""
    error: dict[str, Any] | None
    created_at: datetime

    @classmethod
    def of(cls, row: TickRow) -> Self:
        """Make the schema of a row."""
        return cls.model_validate(row, from_attributes=True)
