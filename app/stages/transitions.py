"""The states of jobs and stages, and the only two functions that change them.

A move is one compare-and-set on the state (and the fence) that was read. An illegal move is refused
before it reaches the database, and a stale move changes nothing. Each move of a job, or of a job's
stage, writes its event in the same transaction.

Every transaction locks in one order: data set, job, stage (:func:`lock_dataset` and
:func:`lock_job` first), so that two transactions never wait for each other.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from dealrec.app.kit.database import DatabaseClock, SecondsSince, settings_of
from dealrec.app.stages.events import append, record
from dealrec.app.stages.runs import StageRun
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import ENDED_JOBS, ENDED_STAGES, JobRow, JobState, StageRow, StageState
from dealrec.app.tracking.due import records_due

JOB_MOVES: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset(
        {JobState.RUNNING, JobState.PAUSED, JobState.CANCELLED, JobState.FAILED}
    ),
    JobState.RUNNING: frozenset(
        {
            JobState.PAUSING,
            JobState.PAUSED,
            JobState.CANCELLING,
            JobState.CANCELLED,
            JobState.SUCCEEDED,
            JobState.FAILED,
        }
    ),
    # The last stage may finish before the pause reaches it; the job has then succeeded.
    JobState.PAUSING: frozenset(
        {
            JobState.PAUSED,
            JobState.CANCELLING,
            JobState.CANCELLED,
            JobState.SUCCEEDED,
            JobState.FAILED,
        }
    ),
    # A job returns to queued if none of its stages had run.
    JobState.PAUSED: frozenset(
        {JobState.QUEUED, JobState.RUNNING, JobState.CANCELLED, JobState.FAILED}
    ),
    # The last stage may also finish before the cancel reaches it.
    JobState.CANCELLING: frozenset({JobState.CANCELLED, JobState.SUCCEEDED, JobState.FAILED}),
    JobState.CANCELLED: frozenset(),
    JobState.SUCCEEDED: frozenset(),
    # A retry restarts a failed job.
    JobState.FAILED: frozenset({JobState.QUEUED, JobState.RUNNING}),
}

STAGE_MOVES: dict[StageState, frozenset[StageState]] = {
    # An earlier stage of a comparison may find that there is nothing to learn; scores are then skipped.
    StageState.WAITING: frozenset({StageState.QUEUED, StageState.CANCELLED, StageState.SKIPPED}),
    StageState.QUEUED: frozenset({StageState.RUNNING, StageState.PAUSED, StageState.CANCELLED}),
    # A stage returns to queued for another attempt, after a lost lease, or when its worker shuts down.
    StageState.RUNNING: frozenset(
        {
            StageState.QUEUED,
            StageState.PAUSED,
            StageState.SUCCEEDED,
            StageState.FAILED,
            StageState.CANCELLED,
        }
    ),
    StageState.PAUSED: frozenset({StageState.QUEUED, StageState.CANCELLED}),
    # A retry of the job restarts failed stages, and those that were cancelled with them.
    StageState.CANCELLED: frozenset({StageState.WAITING}),
    StageState.SUCCEEDED: frozenset(),
    StageState.SKIPPED: frozenset(),
    StageState.FAILED: frozenset({StageState.WAITING}),
}


class IllegalMove(Exception):
    """The caller asked for a move that the table does not have, which is a bug."""


class Stale(Exception):
    """Another transaction moved or claimed the row since the caller read it."""


def lock_dataset(session: Session, dataset_id: str) -> DatasetRow:
    """Read the data set again, and lock it until the transaction ends."""
    return session.scalars(
        select(DatasetRow)
        .where(DatasetRow.id == dataset_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def lock_job(session: Session, job_id: str) -> JobRow:
    """Read the job again, and lock it until the transaction ends."""
    session.flush()
    return session.scalars(
        select(JobRow)
        .where(JobRow.id == job_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def move_job(session: Session, job: JobRow, to: JobState, **values: Any) -> None:
    """Move the job, record ``job.<state>``, and set ``started_at`` and ``finished_at``.

    Raises :class:`IllegalMove`, or :class:`Stale` if the row is not in the state that was read.
    """
    session.flush()
    state = JobState(job.state)
    if to not in JOB_MOVES[state]:
        raise IllegalMove(f"job {job.id}: {state} to {to}")
    now = DatabaseClock()
    if to is JobState.RUNNING and job.started_at is None:
        values["started_at"] = now
    values["finished_at"] = now if to in ENDED_JOBS else None
    values |= records_due(settings_of(session).track if to in ENDED_JOBS else ())
    _compare_and_set(
        session,
        update(JobRow).where(JobRow.id == job.id, JobRow.state == state).returning(JobRow),
        {"state": to.value, "event_count": JobRow.event_count + 1, **values},
    )
    error = values.get("error") or {}
    facts = {"code": error["code"]} if "code" in error else {}
    append(session, job, f"job.{to.value}", None, facts)


def move_stage(
    session: Session,
    stage: StageRow,
    to: StageState,
    *,
    fence: int | None = None,
    new_fence: int | None = None,
    event: Mapping[str, object] | None = None,
    code: str | None = None,
    **values: Any,
) -> None:
    """Move the stage and record ``stage.<state>`` (with ``event`` as its data) on its job.

    A move that ends a run also stores the run, with the ``code`` of its problem.

    ``fence`` is the caller's claim. A stage that was claimed again, or is no longer in the state that
    was read, raises :class:`Stale`. Only a claim sets ``new_fence``. Raises :class:`IllegalMove`.
    """
    session.flush()
    state = StageState(stage.state)
    if to not in STAGE_MOVES[state]:
        raise IllegalMove(f"stage {stage.id}: {state} to {to}")
    now = DatabaseClock()
    run = StageRun.of(stage) if state is StageState.RUNNING else None
    if state is StageState.RUNNING:
        elapsed = func.coalesce(SecondsSince(StageRow.started_at), 0.0)
        values["spent_seconds"] = StageRow.spent_seconds + elapsed
    if to in (StageState.WAITING, StageState.QUEUED):
        values |= {"owner": None, "lease_until": None, "progress": None, "queued_at": now}
    if new_fence is not None:
        values["fence"] = new_fence
    if to is StageState.PAUSED:
        values |= {"owner": None, "lease_until": None}
    if to in ENDED_STAGES:
        values |= {"lease_until": None, "finished_at": now}
    _compare_and_set(
        session,
        update(StageRow)
        .where(
            StageRow.id == stage.id,
            StageRow.state == state,
            StageRow.fence == (stage.fence if fence is None else fence),
        )
        .returning(StageRow),
        {"state": to.value, **values},
    )
    if run is not None:
        run.end(session, to, code=code, reused=bool(values.get("reused")))
    if stage.job_id is not None:
        job = session.get_one(JobRow, stage.job_id)
        facts = {"attempt": stage.attempt} if to is StageState.RUNNING else {}
        told = {**facts, **stage.part_facts, **(event or {})}
        record(session, job, f"stage.{to.value}", stage.name, **told)


def _compare_and_set(session: Session, statement: Any, values: Mapping[str, object]) -> None:
    """Update the row together with the session's object for it."""
    moved = session.scalars(
        statement.values(**values),
        execution_options={"synchronize_session": False, "populate_existing": True},
    )
    if moved.one_or_none() is None:
        raise Stale
