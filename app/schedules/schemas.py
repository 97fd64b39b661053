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
"""The number of due times that a response shows."""
_Id = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class ScheduledJob(JobOrder):
    """The job that each tick makes on the newest version of the data set that is ready."""

    continue_last: bool = False
    """Whether each job continues from the schedule's last job that succeeded. The first job is a full
    run, and so is every job without such a predecessor."""
    continuation: Continuation | None = None
    """How each job continues from that one."""

    @model_validator(mode="after")
    def _of_a_job(self) -> Self:
        if self.continuation is not None and not self.continue_last:
            raise ValueError("continuation needs continue_last: true")
        return self

    def request(self, dataset_id: str, last: str | None) -> JobCreate:
        """Make the request for the job of one tick, which may continue from the job ``last``."""
        order = self.model_dump(exclude={"continue_last", "continuation"}, exclude_unset=True)
        earlier = last if self.continue_last else None
        how = None if earlier is None else self.continuation
        return JobCreate(**order, dataset_id=dataset_id, continue_from=earlier, continuation=how)


class ScheduleCreate(Body):
    """A request for a schedule."""

    name: Name
    dataset_id: _Id
    """The id of any version of the data set. Each tick uses the newest version that is ready."""
    trigger: Trigger
    job: ScheduledJob


class ScheduleUpdate(Body):
    """Changes to a schedule. What is left out stays as it is."""

    name: Name | None = None
    active: bool | None = None
    """False pauses the schedule, and true resumes it. Jobs that were due while it was paused are not made
    up for."""
    trigger: Trigger | None = None
    """A new trigger, which counts from now on."""
    job: ScheduledJob | None = None
    """All options of the job; they replace the earlier ones."""


class TickCounts(BaseModel):
    """The outcomes of the times at which a schedule was due."""

    made: int
    """The number of ticks that made a job."""
    missed: int
    """The number of due times, or versions, that were passed over because a later one was already due."""
    skipped: int
    """The number of ticks that were skipped because the job of an earlier tick had not ended."""
    failed: int
    """The number of ticks whose job could not be made."""


class Schedule(BaseModel):
    """A standing request for jobs on the newest version of a data set."""

    id: str
    object: Literal["schedule"] = "schedule"
    name: str
    dataset_id: str
    trigger: Trigger
    job: dict[str, Any]
    """The options of the job, as they were requested."""
    active: bool
    paused: dict[str, Any] | None
    """Why the service paused the schedule (``code`` and ``detail``); null if a person paused it."""
    next_due: list[datetime]
    """The next three due times, in UTC; empty while the schedule is paused, and if it follows the data."""
    counts: TickCounts
    drift: float | None
    """For a drift trigger: the sum of the drift of all versions since that of the last job."""
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
    """One time at which a schedule was due, and its outcome."""

    id: str
    object: Literal["schedule_tick"] = "schedule_tick"
    schedule_id: str
    due_at: datetime | None
    """The due time; null if the schedule follows the data, or if the tick was requested."""
    requested: bool
    """Whether somebody requested the tick."""
    dataset_id: str | None
    """The version that the job uses; null if no version was ready."""
    outcome: TickOutcome
    job_id: str | None
    """The job that was made. It may have been deleted."""
    missed: int
    """The number of earlier due times, or versions, that this tick stands for."""
    error: dict[str, Any] | None
    created_at: datetime

    @classmethod
    def of(cls, row: TickRow) -> Self:
        """Make the schema of a row."""
        return cls.model_validate(row, from_attributes=True)
