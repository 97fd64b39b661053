"""Schedules, by which the service makes jobs by itself."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from dealrec.client.binding import operation, sequence
from dealrec.client.exchange import ask, creating, delete, plain, without_none
from dealrec.client.jobs import Config
from dealrec.client.lists import listed
from dealrec.client.records import Area, M, Record, Remote
from dealrec.client.resources import Job
from dealrec.client.transport import Request

Trigger = Mapping[str, Any]
"""``{"kind": "cron", "cron": "30 3 * * *", "time_zone": "Europe/Berlin"}``, ``{"kind": "on_version"}``, or
``{"kind": "drift", "measure": "popularity", "above": 0.2}``."""


class TickCounts(Record):
    """The outcomes of the times at which a schedule was due."""

    made: int
    missed: int
    skipped: int
    failed: int


class ScheduleTick(Record):
    """One time at which a schedule was due, and its outcome."""

    id: str
    object: str
    schedule_id: str
    due_at: datetime | None = None
    """The due time; ``None`` if the schedule follows the data, or if the tick was requested."""
    requested: bool = False
    """Whether somebody requested the tick."""
    dataset_id: str | None = None
    outcome: str
    """``made``, ``skipped`` or ``failed``."""
    job_id: str | None = None
    missed: int
    """The number of earlier due times, or versions, that this tick stands for."""
    error: Mapping[str, Any] | None = None
    created_at: datetime


class Schedule(Remote[M]):
    """A standing request for jobs on the newest version of a data set."""

    place = "/v1/schedules"
    name: str
    dataset_id: str
    trigger: Mapping[str, Any]
    job: Mapping[str, Any]
    active: bool
    paused: Mapping[str, Any] | None = None
    """Why the service paused the schedule; ``None`` if a person paused it."""
    next_due: list[datetime] = Field(default_factory=list)
    """The next three due times, in UTC."""
    counts: TickCounts
    drift: float | None = None
    error: Mapping[str, Any] | None = None
    """The problem of the last tick, if its job could not be made."""
    last_job_id: str | None = None
    created_at: datetime

    @operation
    async def update(
        self,
        *,
        name: str | None = None,
        active: bool | None = None,
        trigger: Trigger | None = None,
        job: Mapping[str, Any] | None = None,
    ) -> "Schedule[M]":
        """Change its name, its trigger or all options of its job, or pause and resume it."""
        changes = {"name": name, "active": active, "trigger": trigger, "job": job}
        request = Request("PATCH", self.path, json=without_none(changes))
        return Schedule[M].received(self.transport, (await ask(self.transport, request)).json())

    @operation
    async def run(self, *, idempotency_key: str | None = None) -> Job[M]:
        """Make one tick at once, whatever the trigger is, and return its job.

        Raises a conflict with the code ``job_not_ended`` while the job of an earlier tick has not ended, and
        ``schedule_paused`` while the schedule is paused.
        """
        request = creating(f"{self.path}/run", idempotency_key=idempotency_key)
        return Job[M].received(self.transport, (await ask(self.transport, request)).json())

    @sequence
    async def ticks(self) -> AsyncIterator[ScheduleTick]:
        """Iterate over its ticks, newest first."""
        async for entry in listed(self.transport, f"{self.path}/ticks"):
            yield ScheduleTick.model_validate(entry)

    @operation
    async def delete(self) -> None:
        """Delete it; the jobs that it has made stay."""
        await delete(self.transport, self.path)


class Schedules(Area[M]):
    """The schedules of the key's tenant."""

    @operation
    async def create(
        self,
        dataset: str,
        *,
        name: str,
        trigger: Trigger,
        budget: float | None = None,
        target: float | str | None = None,
        config: Config | None = None,
        metadata: Mapping[str, str] | None = None,
        continue_last: bool = False,
        continuation: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Schedule[M]:
        """Create a schedule, which makes jobs on the newest version of ``dataset``.

        ``budget``, ``target``, ``config`` and ``metadata`` are those of each job, as in
        :meth:`Jobs.create`. With ``continue_last`` each job continues from the last one that succeeded,
        as ``continuation`` says.
        """
        job = {
            "budget": budget,
            "target": target,
            "config": None if config is None else plain(config),
            "metadata": metadata,
            "continue_last": continue_last or None,
            "continuation": continuation,
        }
        body = {
            "name": name,
            "dataset_id": dataset,
            "trigger": dict(trigger),
            "job": without_none(job),
        }
        request = creating("/v1/schedules", body, idempotency_key=idempotency_key)
        return Schedule[M].received(self.transport, (await ask(self.transport, request)).json())

    @operation
    async def get(self, identifier: str) -> Schedule[M]:
        """Fetch one schedule."""
        return await Schedule[M].fetched(self.transport, identifier)

    @sequence
    async def list(self) -> AsyncIterator[Schedule[M]]:
        """List all schedules, newest first."""
        async for schedule in Schedule[M].listed(self.transport):
            yield schedule
