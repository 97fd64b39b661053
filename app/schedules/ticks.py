"""Creates the jobs of schedules that are due, each exactly once.

A tick is one transaction: it locks the schedule, creates the job, writes the tick under a mark that is
unique within the schedule, and moves the schedule to its next due time or version. If a process dies
before the commit, nothing remains, and another process finds the schedule due as before. If two processes
take the same schedule, the second one sees what the first has done.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from dealrec.app.jobs.service import Scheduled, create_job, decided, require_models_of_job
from dealrec.app.kit.caller import ALL_SCOPES, Caller
from dealrec.app.kit.context import Context
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.errors import Conflict
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.storage import Storage
from dealrec.app.kit.trail import record
from dealrec.app.schedules.drifting import summed_drift
from dealrec.app.schedules.repository import ScheduleRepository, due_schedules, lock_schedule
from dealrec.app.schedules.schemas import ScheduledJob
from dealrec.app.schedules.triggers import CronTrigger, DriftTrigger, trigger_of
from dealrec.app.settings import Settings
from dealrec.app.tables.audit import Actor
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import JobRow
from dealrec.app.tables.schedules import ScheduleRow, TickOutcome, TickRow
from dealrec.app.webhooks.outbox import WebhookEvent, tell
from dealrec.errors import DealrecError

log = structlog.get_logger(__name__)

Clock = Callable[[Session], datetime]


@dataclass(frozen=True)
class Due:
    """A due time, or a new version, for which a schedule has to create a job."""

    mark: str | None
    """A mark that is unique among the ticks of the schedule; ``None`` means the tick's own id."""
    newest: DatasetRow | None
    """The newest version of the data set that is ready."""
    missed: int
    """The number of earlier due times, or versions, that this one stands for."""
    drift: float = 0.0
    """The sum of the drift since the last job."""
    due_at: datetime | None = None
    following: datetime | None = None
    """The next due time after this one."""


class Ticker:
    """Creates the jobs of schedules that are due; any number of processes may do so at the same time."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        storage: Storage,
        clock: Clock = database_now,
    ) -> None:
        self._settings, self._database, self._storage = settings, database, storage
        self._clock = clock

    def round(self) -> int:
        """Create the jobs of all schedules that are due; an error in one schedule does not stop the others.

        Returns:
            The number of ticks that were written.
        """
        with self._database.session(write=False) as session:
            found = due_schedules(session, self._clock(session))
        written = 0
        for identifier in found:
            try:
                written += self._look(identifier)
            except Exception as error:  # whatever the libraries of database and storage raise
                log.warning("tick not made", schedule_id=identifier, error=type(error).__name__)
        return written

    def _look(self, identifier: str) -> bool:
        with self._database.session() as session:
            schedule = lock_schedule(session, identifier)
            if schedule is None or not schedule.active:
                return False
            if not ScheduleRepository(session, schedule.tenant_id).any_version(schedule):
                _pause(session, schedule)
                return False
            due = self._due(session, schedule)
        return due is not None and self._tick(schedule, due)

    def _due(self, session: Session, schedule: ScheduleRow) -> Due | None:
        """Return what is due now, if anything. Drift below the bound is only added to the sum in the row."""
        repository = ScheduleRepository(session, schedule.tenant_id)
        trigger = trigger_of(schedule.trigger)
        ready = repository.ready(schedule)
        newest = next(iter(ready), None)
        if isinstance(trigger, CronTrigger):
            return _due_by_time(schedule, trigger, newest, self._clock(session))
        newer = [row for row in ready if _is_newer(row, schedule)]
        # A due time can be skipped, because another one follows. There may be no further version, so a
        # version waits until the job of the earlier one has ended.
        if newest is None or not newer or repository.open_job(schedule) is not None:
            return None
        drift = schedule.drift
        if isinstance(trigger, DriftTrigger):
            found = summed_drift(schedule, trigger, newer)
            drift = max(drift, trigger.above) if found is None else found
            if found is not None and found <= trigger.above:
                schedule.drift = found
                schedule.seen_version, schedule.seen_id = newest.version, newest.id
                return None
        return Due(newest.id, newest, len(newer) - 1, drift)

    def _tick(self, schedule: ScheduleRow, due: Due) -> bool:
        """Write the tick, with its job or the reason why there is none; return whether it was written."""
        try:
            order = ScheduledJob.model_validate(schedule.job)
            if due.newest is not None:
                context = self._context(schedule.tenant_id)
                require_models_of_job(decided(context, due.newest.id, order.config), context)
            with self._database.session() as session:
                locked = _still_due(session, schedule)
                if locked is None:
                    return False
                _make(session, locked, due, order)
        except DealrecError as error:
            with self._database.session() as session:
                locked = _still_due(session, schedule)
                if locked is None:
                    return False
                _fail(session, locked, due, error)
        return True

    def _context(self, tenant_id: str) -> Context:
        """Make the context of the service itself as a caller, with every permission of the tenant."""
        caller = Caller(tenant_id, None, ALL_SCOPES)
        return Context(caller, "schedule", self._settings, self._database, self._storage)


def _due_by_time(
    schedule: ScheduleRow, trigger: CronTrigger, newest: DatasetRow | None, now: datetime
) -> Due | None:
    """Return the latest due time that has passed; the ones before it count as missed."""
    if schedule.next_due is None or schedule.next_due > now:
        return None
    latest, missed = schedule.next_due, 0
    for following in trigger.after(latest):
        if following > now:
            break
        latest, missed = following, missed + 1
    else:
        following = None
    return Due(latest.isoformat(), newest, missed, due_at=latest, following=following)


def _is_newer(row: DatasetRow, schedule: ScheduleRow) -> bool:
    return (row.version, row.id) > (schedule.seen_version, schedule.seen_id)


def _still_due(session: Session, seen: ScheduleRow) -> ScheduleRow | None:
    """Lock and return the schedule; ``None`` if it has been changed since it was ``seen``."""
    before = (seen.trigger, seen.job, seen.next_due, seen.seen_version, seen.seen_id, seen.drift)
    row = lock_schedule(session, seen.id)
    if row is None or not row.active:
        return None
    now = (row.trigger, row.job, row.next_due, row.seen_version, row.seen_id, row.drift)
    return row if now == before else None


def _make(session: Session, schedule: ScheduleRow, due: Due, order: ScheduledJob) -> None:
    repository = ScheduleRepository(session, schedule.tenant_id)
    if repository.open_job(schedule) is not None:
        _write(session, schedule, due, TickOutcome.SKIPPED)
        schedule.skipped += 1
        return
    if due.newest is None:
        raise _not_ready()
    job = _add_job(session, schedule, due, due.newest, order)
    record(session, schedule.tenant_id, "job.create", job.id, actor=Actor.SERVICE)


def _add_job(
    session: Session, schedule: ScheduleRow, due: Due, newest: DatasetRow, order: ScheduledJob
) -> JobRow:
    """Create the job of a tick on the version ``newest``, and write the tick."""
    last = ScheduleRepository(session, schedule.tenant_id).last_succeeded(schedule)
    request = order.request(newest.id, last)
    job = create_job(session, schedule.tenant_id, request, Scheduled(schedule.id, due.due_at))
    _write(session, schedule, due, TickOutcome.MADE, job_id=job.id)
    schedule.made += 1
    schedule.last_job_id, schedule.error, schedule.drift = job.id, None, 0.0
    return job


def run_now(session: Session, tenant_id: str, identifier: str) -> JobRow:
    """Make one tick at once, because somebody requests it. The next due time does not change.

    It accounts for the versions that are ready, as any tick does. Where it cannot be made, nothing is
    written.

    Raises:
        NotFound: There is no such schedule.
        Conflict: ``schedule_paused``; ``job_not_ended`` with the ``job_id`` of the job of an earlier tick;
            ``dataset_not_ready``.
        DealrecError: The errors of :func:`~dealrec.app.jobs.service.create_job`.
    """
    schedules = ScheduleRepository(session, tenant_id)
    schedule = schedules.get(identifier, lock=True)
    if not schedule.active:
        raise Conflict("The schedule is paused. Resume it first.", code="schedule_paused")
    running = schedules.open_job(schedule)
    if running is not None:
        raise Conflict(
            f"The job of an earlier tick, {running}, has not ended. Wait until it ends, or cancel it.",
            code="job_not_ended",
            job_id=running,
        )
    ready = schedules.ready(schedule)
    if not ready:
        raise _not_ready()
    due = Due(None, ready[0], _passed_over(schedule, ready), following=schedule.next_due)
    return _add_job(session, schedule, due, ready[0], ScheduledJob.model_validate(schedule.job))


def _passed_over(schedule: ScheduleRow, ready: list[DatasetRow]) -> int:
    """Count the earlier versions, each of which would have made a tick, that the newest one stands for."""
    if isinstance(trigger_of(schedule.trigger), CronTrigger):
        return 0
    return max(0, sum(_is_newer(row, schedule) for row in ready) - 1)


def _not_ready() -> Conflict:
    return Conflict("No version of the schedule's data set is ready yet.", code="dataset_not_ready")


def _fail(session: Session, schedule: ScheduleRow, due: Due, error: DealrecError) -> None:
    problem = error.to_problem()
    _write(session, schedule, due, TickOutcome.FAILED, error=problem)
    schedule.failed += 1
    schedule.error = problem
    facts = {**_facts(schedule), "due_at": due.due_at and due.due_at.isoformat(), "error": problem}
    tell(session, schedule.tenant_id, WebhookEvent.SCHEDULE_FAILED.value, facts)


def _write(
    session: Session,
    schedule: ScheduleRow,
    due: Due,
    outcome: TickOutcome,
    *,
    job_id: str | None = None,
    error: dict[str, object] | None = None,
) -> None:
    """Write the tick, and move the schedule to its next due time or version."""
    identifier = new_id("tick")
    session.add(
        TickRow(
            id=identifier,
            tenant_id=schedule.tenant_id,
            schedule_id=schedule.id,
            mark=due.mark or identifier,
            due_at=due.due_at,
            dataset_id=due.newest.id if due.newest is not None else None,
            outcome=outcome.value,
            job_id=job_id,
            missed=due.missed,
            error=error,
            created_at=database_now(session),
        )
    )
    schedule.missed += due.missed
    schedule.drift = due.drift
    schedule.next_due = due.following
    if due.newest is not None:
        schedule.seen_version, schedule.seen_id = due.newest.version, due.newest.id
    session.flush()


def _pause(session: Session, schedule: ScheduleRow) -> None:
    """Pause a schedule whose data set was deleted with all versions."""
    schedule.active, schedule.next_due = False, None
    schedule.paused = {
        "code": "dataset_deleted",
        "detail": "The data set was deleted with all of its versions.",
    }
    record(session, schedule.tenant_id, "schedule.pause", schedule.id, actor=Actor.SERVICE)
    facts = {**_facts(schedule), "error": schedule.paused}
    tell(session, schedule.tenant_id, WebhookEvent.SCHEDULE_PAUSED.value, facts)
    session.flush()


def _facts(schedule: ScheduleRow) -> dict[str, object]:
    return {
        "schedule_id": schedule.id,
        "name": schedule.name,
        "dataset_id": schedule.dataset_id,
    }
