"""Leases and fences: who may run a stage, and whose word about it counts.

Every write is conditional on the claim's fence; time is the database's clock alone.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import CursorResult, bindparam, func, literal_column, select, update
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session, aliased

from dealrec.app.jobs.lifecycle import fail_stage, requeue
from dealrec.app.kit.database import Database, DatabaseClock, database_now
from dealrec.app.settings import Settings
from dealrec.app.stages.events import record
from dealrec.app.stages.runs import LEASE_LOST
from dealrec.app.stages.transitions import (
    IllegalMove,
    Stale,
    lock_dataset,
    lock_job,
    move_job,
    move_stage,
)
from dealrec.app.tables.jobs import (
    JobRow,
    JobState,
    StageRow,
    StageState,
    StoredCurves,
    StoredProgress,
)
from dealrec.errors import DealrecError
from dealrec.worker.messages import Event
from dealrec.worker.problems import FOR_MEMORY, WorkerLost
from dealrec.worker.rejection import reject_dataset

_CANDIDATES = 16
_ROUNDS = 5
"""A worker that lost every race looks again so often: its message may have been the last one."""

# Made once: a worker asks these again and again. Each is answered by an index, from its first rows:
# thousands of stages may be queued. The state is written out, so that the partial index fits.
_QUEUED = StageRow.state == literal_column("'queued'")
_ONE = select(StageRow.id, StageRow.job_id).where(_QUEUED, StageRow.id == bindparam("stage_id"))
_OF_QUEUES = StageRow.queue.in_(bindparam("queues", expanding=True))
_TENANTS = select(StageRow.tenant_id).where(_QUEUED, _OF_QUEUES).distinct()
_AT_WORK = select(StageRow.tenant_id).where(StageRow.state == StageState.RUNNING)
_SERVED_AT = select(func.max(StageRow.started_at)).where(StageRow.tenant_id == bindparam("tenant"))
_OTHER = aliased(StageRow)
_RUNNING_BESIDE = (
    select(func.count())
    .where(_OTHER.job_id == StageRow.job_id, _OTHER.state == StageState.RUNNING)
    .scalar_subquery()
)
_IN_TURN = (
    select(StageRow.id, StageRow.job_id)
    .where(_QUEUED, StageRow.tenant_id.in_(bindparam("tenants", expanding=True)), _OF_QUEUES)
    .limit(_CANDIDATES)
)
_OF_IDLE_JOBS = _IN_TURN.where(_RUNNING_BESIDE == 0).order_by(StageRow.queued_at, StageRow.id)
_WITH_ITS_JOB = (
    select(StageRow, JobRow)
    .join(JobRow, JobRow.id == StageRow.job_id)
    .where(StageRow.id == bindparam("stage_id"))
    .with_for_update(of=JobRow)
)
_OF_BUSY_JOBS = _IN_TURN.order_by(_RUNNING_BESIDE, StageRow.queued_at, StageRow.id)


@dataclass(frozen=True)
class Claim:
    """The right to run a stage, until another claim raises the fence."""

    stage_id: str
    job_id: str | None
    dataset_id: str
    tenant_id: str
    name: str
    fence: int
    part: str | None = None
    """The part of a stage that several workers share; see :class:`~dealrec.config.stages.StagePart`."""
    shard: int | None = None
    attempt: int = 1
    """How often the stage was claimed to be worked on, this time included."""
    queued_at: datetime | None = None
    trace: str | None = None
    """The ``traceparent`` of the request that asked for the stage."""


class Standing(Enum):
    """The standing of a claim, as a beat finds it."""

    GOOD = "good"
    STOP = "stop"
    """The job was cancelled, or has failed elsewhere."""
    LOST = "lost"
    """The stage was given to somebody else."""


def claim(
    database: Database,
    settings: Settings,
    owner: str,
    *,
    queues: Iterable[str] = (),
    stage_id: str | None = None,
) -> Claim | None:
    """Take the queued stage ``stage_id``, or the one in ``queues`` whose turn it is.

    It is the turn of the tenant with the fewest stages running, of those the one that was served
    longest ago; of its jobs the one with the fewest stages running; of its stages the one that has
    waited longest. So neither a thousand jobs nor a job of a hundred shards keep others waiting.

    ``None``: there is nothing to take, e.g. because the message was a duplicate.
    """
    for _ in range(_ROUNDS):
        candidates = _candidates(database, tuple(queues), stage_id)
        for candidate in candidates:
            try:
                with database.session() as session:
                    return _take(session, settings, owner, candidate)
            except (Stale, IllegalMove, NoResultFound):
                continue  # another worker was faster, or the job was deleted
        if not candidates or stage_id is not None:
            break
    return None


def _candidates(
    database: Database, queues: tuple[str, ...], stage_id: str | None
) -> list[tuple[str, str | None]]:
    """The ids of queued stages and of their jobs; the stage whose turn it is comes first."""
    with database.session(write=False) as session:
        if stage_id is not None:
            found = session.execute(_ONE, {"stage_id": stage_id}).all()
        else:
            given = {"queues": queues, "tenants": _tenants_in_turn(session, queues)}
            found = session.execute(_OF_IDLE_JOBS, given).all()
            found = found or session.execute(_OF_BUSY_JOBS, given).all()
        return [(row.id, row.job_id) for row in found]


def _tenants_in_turn(session: Session, queues: tuple[str, ...]) -> list[str]:
    """The tenant with queued stages whose turn it is, or all tenants that nobody has ever served."""
    waiting = session.scalars(_TENANTS, {"queues": queues}).all()
    if len(waiting) < 2:
        return list(waiting)
    at_work = Counter(session.scalars(_AT_WORK))
    fewest = min(at_work[tenant] for tenant in waiting)
    first = sorted(tenant for tenant in waiting if at_work[tenant] == fewest)
    served = {tenant: session.scalar(_SERVED_AT, {"tenant": tenant}) for tenant in first}
    never = [tenant for tenant, at in served.items() if at is None]
    return never or [min((at, tenant) for tenant, at in served.items() if at)[1]]


def _take(
    session: Session, settings: Settings, owner: str, candidate: tuple[str, str | None]
) -> Claim:
    stage_id, job_id = candidate
    if job_id is None:
        stage = session.get_one(StageRow, stage_id)
    else:
        # One query reads both. If another transaction held the lock, the stage may be out of date;
        # then its move finds that it is stale.
        stage, job = session.execute(_WITH_ITS_JOB, {"stage_id": stage_id}).one()
        if job.state == JobState.QUEUED:
            move_job(session, job, JobState.RUNNING)
    fence = stage.fence + 1
    move_stage(
        session,
        stage,
        StageState.RUNNING,
        owner=owner,
        new_fence=fence,
        attempt=stage.attempt + 1,
        used_gpu=False,
        lease_until=DatabaseClock(settings.lease_seconds),
        started_at=DatabaseClock(),
    )
    return _claim_on(stage, fence)


def _claim_on(stage: StageRow, fence: int) -> Claim:
    return Claim(
        stage.id,
        stage.job_id,
        stage.dataset_id,
        stage.tenant_id,
        stage.name,
        fence,
        stage.part,
        stage.shard,
        stage.attempt,
        stage.queued_at,
        stage.trace,
    )


def beat(
    database: Database,
    claim: Claim,
    *,
    lease_seconds: float | None = None,
    progress: StoredProgress | None = None,
    metrics: Mapping[str, float] | None = None,
    curves: StoredCurves | None = None,
    used_gpu: bool = False,
    events: Iterable[Event] = (),
) -> Standing:
    """Renew the lease (if ``lease_seconds``), write what is new, and learn how the claim stands."""
    events = list(events)
    writes = lease_seconds is not None or progress or metrics or curves or used_gpu or events
    with database.session(write=bool(writes)) as session:
        job = None
        if claim.job_id and events:
            job = lock_job(session, claim.job_id)
        values = _news(lease_seconds, progress, metrics, curves, used_gpu=used_gpu)
        if not _still_held(session, claim, values):
            return Standing.LOST
        if job is not None:
            facts = session.get_one(StageRow, claim.stage_id).part_facts
            for event in events:
                record(session, job, event.event, claim.name, **facts, **event.data)
        if claim.job_id is None:
            return Standing.GOOD
        state = session.scalars(select(JobRow.state).where(JobRow.id == claim.job_id)).one()
        return Standing.GOOD if state == JobState.RUNNING else Standing.STOP


def _news(
    lease_seconds: float | None,
    progress: StoredProgress | None,
    metrics: Mapping[str, float] | None,
    curves: StoredCurves | None,
    *,
    used_gpu: bool,
) -> dict[str, object]:
    """The columns that a beat writes."""
    values: dict[str, object] = {}
    if lease_seconds is not None:
        values["lease_until"] = DatabaseClock(lease_seconds)
    if progress:
        values["progress"] = progress
    if metrics:
        values["metrics"] = dict(metrics)
    if curves:
        values["curves"] = curves
    if used_gpu:
        values["used_gpu"] = True
    return values


def _still_held(session: Session, claim: Claim, values: dict[str, object]) -> bool:
    held = (
        StageRow.id == claim.stage_id,
        StageRow.fence == claim.fence,
        StageRow.state == StageState.RUNNING,
    )
    if not values:
        return session.scalars(select(StageRow.id).where(*held)).first() is not None
    result = session.execute(
        update(StageRow).where(*held).values(**values),
        execution_options={"synchronize_session": False},
    )
    assert isinstance(result, CursorResult)
    return result.rowcount == 1


def locked(session: Session, claim: Claim) -> StageRow:
    """Lock the job or the data set, and return the claimed stage; a lost claim raises :class:`Stale`."""
    if claim.job_id:
        lock_job(session, claim.job_id)
    else:
        lock_dataset(session, claim.dataset_id)
    stage = session.get(StageRow, claim.stage_id, populate_existing=True)
    if stage is None or stage.fence != claim.fence or stage.state != StageState.RUNNING:
        raise Stale
    return stage


def fail(database: Database, claim: Claim, problem: Mapping[str, Any]) -> None:
    """Fail the stage for good, and with it its job, or reject its data set; raises :class:`Stale`."""
    with database.session() as session:
        stage = locked(session, claim)
        _end(session, stage, problem)


def _end(session: Session, stage: StageRow, problem: Mapping[str, Any], **values: int) -> None:
    """Fail a stage that this transaction has locked."""
    fail_stage(session, stage, problem, fence=stage.fence, **values)
    if stage.job_id is None:
        reject_dataset(session, stage.dataset_id, problem)


def died(database: Database, settings: Settings, claim: Claim, death: DealrecError) -> None:
    """Try a stage again whose process died or raised, up to ``max_deaths``; raises :class:`Stale`.

    After a death for lack of memory the next run works in smaller pieces.
    """
    with database.session() as session:
        stage = locked(session, claim)
        kills = stage.kills + isinstance(death, FOR_MEMORY)
        deaths, code = stage.deaths + 1, death.code
        if deaths >= settings.max_deaths:
            _end(session, stage, death.to_problem(), deaths=deaths, kills=kills)
        else:
            _note(session, stage, "stage.died", code=code, deaths=deaths)
            requeue(session, stage, fence=claim.fence, code=code, deaths=deaths, kills=kills)


def release(database: Database, claim: Claim) -> None:
    """Give the stage back unfinished when its worker shuts down or its job rests; no attempt is counted.

    It is then paused or cancelled as its job is, else queued. Raises :class:`Stale`.
    """
    with database.session() as session:
        stage = locked(session, claim)
        requeue(session, stage, fence=claim.fence, attempt=stage.attempt - 1)


def expire(database: Database, settings: Settings, stage_id: str) -> Claim | None:
    """Take the stage from a worker whose lease has passed; ``None`` if the lease has not passed.

    Gives the claim that was lost.
    """
    with database.session() as session:
        found = session.get(StageRow, stage_id)
        if found is None:
            return None
        held = _claim_on(found, found.fence)
        try:
            stage = locked(session, held)
        except Stale:
            return None
        if stage.lease_until is None or stage.lease_until >= database_now(session):
            return None
        lost = stage.lost_leases + 1
        if lost >= settings.max_lost_leases:
            problem = WorkerLost(lost).to_problem()
            _end(session, stage, problem, lost_leases=lost)
        else:
            _note(session, stage, "stage.lease_lost", lost_leases=lost)
            requeue(session, stage, fence=stage.fence, code=LEASE_LOST, lost_leases=lost)
        return held


def _note(session: Session, stage: StageRow, kind: str, **data: Any) -> None:
    if stage.job_id:
        job = session.get_one(JobRow, stage.job_id)
        record(session, job, kind, stage.name, **stage.part_facts, **data)
