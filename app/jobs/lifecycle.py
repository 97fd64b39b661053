"""Plans the stages of jobs, and moves jobs on when data sets, stages or people change state.

Everything happens in the caller's transaction; wake-ups leave after its commit.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dealrec.app.jobs import composition
from dealrec.app.jobs.pace import expected_seconds
from dealrec.app.jobs.sharding import add_shards
from dealrec.app.jobs.targets import find_target
from dealrec.app.kit.errors import Conflict
from dealrec.app.naming import selection_name
from dealrec.app.quotas.service import require_open_job
from dealrec.app.stages.events import record
from dealrec.app.stages.queueing import add_stage, queue_stage
from dealrec.app.stages.transitions import lock_dataset, lock_job, move_job, move_stage
from dealrec.app.stages.wakeups import wake
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import (
    DONE_STAGES,
    ENDED_JOBS,
    SELECTING,
    ArtifactRow,
    JobRow,
    JobState,
    StageRow,
    StageState,
)
from dealrec.config import PruneConfig
from dealrec.config.stages import (
    STAGES,
    JobOptions,
    Phase,
    PlannedStage,
    StageName,
    StagePlace,
    Workload,
)
from dealrec.errors import InputError


def plan_job(session: Session, job: JobRow, dataset: DatasetRow) -> None:
    """Add the job's stages, and start it if the data set is ready; else it waits.

    ``job`` is new, ``queued``, with its configuration as asked for. Raises :class:`InputError`
    (``budget_too_large``, ``no_samples``, …) where the data set is ready and the job cannot run on
    it, :class:`Conflict` (``dataset_rejected``) where there will never be a data set, and
    :class:`QuotaExceeded` where the tenant may have no further job.
    """
    # Under the lock an ingest that ends now either sees this job or is seen here.
    dataset = lock_dataset(session, dataset.id)
    if dataset.state == DatasetState.REJECTED:
        raise Conflict("The data set was rejected. Its `error` says why.", code="dataset_rejected")
    require_open_job(session, job.tenant_id)
    session.add(job)
    session.flush()
    record(session, job, "job.queued")
    _lay_out(session, job, dataset, composition.job_stages(job))
    if dataset.state == DatasetState.READY:
        start_job(session, job, dataset)


def _lay_out(
    session: Session, job: JobRow, dataset: DatasetRow, stages: Iterable[PlannedStage]
) -> None:
    """Add the job's stages, in place of those that it waited with: the data may decide which there are."""
    for waiting in stages_of(session, job):
        session.delete(waiting)
    session.flush()
    ids: dict[StagePlace, str] = {}
    for position, stage in enumerate(stages):
        needs = [ids[place] for place in stage.needs]
        row = add_stage(session, dataset, job, stage.spec, needs, position, stage.place.run)
        ids[stage.place] = row.id


def dataset_ready(session: Session, dataset: DatasetRow) -> None:
    """Start the jobs that waited for the data set; one that cannot run on it fails."""
    for job in waiting_jobs(session, dataset):
        try:
            start_job(session, job, dataset)
        except InputError as error:
            fail_job(session, job, error.to_problem())


def dataset_rejected(session: Session, dataset: DatasetRow, problem: Mapping[str, Any]) -> None:
    """Fail the jobs that waited for the data set, with its problem."""
    for job in waiting_jobs(session, dataset):
        fail_job(session, job, problem, stage=StageName.INGEST)


def waiting_jobs(session: Session, dataset: DatasetRow) -> list[JobRow]:
    """Jobs of the data set that have not been started, locked. The caller has locked the data set."""
    begun = select(StageRow.id).where(
        StageRow.job_id == JobRow.id, StageRow.state != StageState.WAITING
    )
    ids = session.scalars(
        select(JobRow.id)
        .where(JobRow.dataset_id == dataset.id, JobRow.state == JobState.QUEUED, ~begun.exists())
        .order_by(JobRow.id)
    ).all()
    jobs = [lock_job(session, identifier) for identifier in ids]
    return [job for job in jobs if job.state == JobState.QUEUED]


def advance(session: Session, stage: StageRow) -> None:
    """After ``stage`` succeeded: queue what it made possible, or end the job.

    Where its result makes the job's scores pointless, their stages are skipped, in the same transaction.
    The caller has locked the job, so of two stages that finish at once the second sees the first.
    """
    if stage.job_id is None:
        return
    job = session.get_one(JobRow, stage.job_id)
    if _stops(session, job, stage):
        _skip_scoring(session, job)
    stages = stages_of(session, job)
    done = {other.id for other in stages if other.state in DONE_STAGES}
    if len(done) == len(stages):
        move_job(session, job, JobState.SUCCEEDED)
    elif job.state == JobState.RUNNING:
        queue_possible(session, job)
    else:
        settle(session, job)


def _stops(session: Session, job: JobRow, stage: StageRow) -> bool:
    spec = STAGES[StageName(stage.name)]
    if spec.phase is not Phase.COMPARISON:
        return False
    options = JobOptions(
        composition.stage_config(job), comparison=composition.comparison_config(job)
    )
    return spec.stops(options, session.get_one(ArtifactRow, stage.artifact_id).details)


def _skip_scoring(session: Session, job: JobRow) -> None:
    for stage in stages_of(session, job):
        waits = stage.state == StageState.WAITING
        if waits and STAGES[StageName(stage.name)].phase is Phase.SCORING:
            move_stage(session, stage, StageState.SKIPPED)


def requeue(session: Session, stage: StageRow, *, fence: int, **values: Any) -> None:
    """Put a running stage back, to be claimed again; paused or cancelled instead if its job is."""
    job = session.get_one(JobRow, stage.job_id) if stage.job_id else None
    if job is not None and job.state != JobState.RUNNING:
        paused = job.state == JobState.PAUSING
        to = StageState.PAUSED if paused else StageState.CANCELLED
        move_stage(session, stage, to, fence=fence, **values)
        settle(session, job)
        return
    move_stage(session, stage, StageState.QUEUED, fence=fence, **values)
    wake(session, stage)


def fail_stage(
    session: Session, stage: StageRow, problem: Mapping[str, Any], *, fence: int, **values: Any
) -> None:
    """A running stage has failed for good, and with it its job. The caller has locked the job."""
    move_stage(
        session,
        stage,
        StageState.FAILED,
        fence=fence,
        event={"code": problem["code"]},
        code=problem["code"],
        error=dict(problem),
        **values,
    )
    if stage.job_id is not None:
        job = session.get_one(JobRow, stage.job_id)
        if job.state not in ENDED_JOBS:
            fail_job(session, job, problem, stage=StageName(stage.name))


def fail_job(
    session: Session, job: JobRow, problem: Mapping[str, Any], stage: StageName | None = None
) -> None:
    """End the job with ``problem``; stages not begun are cancelled, running ones stop by themselves."""
    error = dict(problem) if stage is None else {**problem, "stage": stage.value}
    cancel_idle(session, job)
    move_job(session, job, JobState.FAILED, error=error)


def settle(session: Session, job: JobRow) -> None:
    """End a ``cancelling`` or ``pausing`` job once none of its stages runs any more."""
    if job.state not in (JobState.CANCELLING, JobState.PAUSING):
        return
    if all(stage.state != StageState.RUNNING for stage in stages_of(session, job)):
        paused = job.state == JobState.PAUSING
        move_job(session, job, JobState.PAUSED if paused else JobState.CANCELLED)


def queue_possible(session: Session, job: JobRow) -> None:
    """Queue each waiting stage whose needs have all succeeded, or are skipped."""
    stages = stages_of(session, job)
    done = {stage.id for stage in stages if stage.state in DONE_STAGES}
    for stage in stages:
        if stage.state == StageState.WAITING and done.issuperset(stage.needs):
            queue_stage(session, stage)


def stages_of(session: Session, job: JobRow) -> list[StageRow]:
    """The job's stages as they are now, in order."""
    return list(
        session.scalars(
            select(StageRow)
            .where(StageRow.job_id == job.id)
            .order_by(StageRow.position, StageRow.id)
            .execution_options(populate_existing=True)
        )
    )


def start_job(session: Session, job: JobRow, dataset: DatasetRow) -> None:
    """Resolve configuration and budget, key the stages, queue those that need nothing."""
    if job.target is not None:
        assert dataset.sha256 is not None
        config = composition.stage_config(job)
        use = find_target(session, job.tenant_id, job.target, dataset.sha256, config)
        job.target_use, job.budget_requested = use.model_dump(mode="json"), use.samples
    plan = composition.plan_job(job, dataset)
    if {stage.place for stage in plan.stages} != {row.place for row in stages_of(session, job)}:
        _lay_out(session, job, dataset, plan.stages)
    if isinstance(plan.options, Workload):
        _name_again(job, dataset, plan.options.config)
        job.config = (plan.options.comparison or plan.options.config).model_dump(mode="json")
        job.budget_samples = plan.options.budget
    planned = {stage.place: stage for stage in plan.stages}
    expected = expected_seconds(session, job, dataset, plan)
    for stage in stages_of(session, job):
        stage.key, stage.loads = planned[stage.place].key, dict(planned[stage.place].loads)
        stage.expected_seconds = expected.get(stage.place)
        if (shards := plan.shards.get(stage.place)) is not None:
            add_shards(session, stage, shards)
    for stage in stages_of(session, job):
        if not stage.needs:
            queue_stage(session, stage)


def _name_again(job: JobRow, dataset: DatasetRow, resolved: PruneConfig) -> None:
    """Where the data decided about the selector, a job with the usual name is named after it."""
    if job.kind not in SELECTING:
        return
    requested = None if job.target is not None else job.budget_requested
    before, after = (
        selection_name(dataset.name, requested, config.selection.method, job.target)
        for config in (composition.stage_config(job), resolved)
    )
    if job.name == before:
        job.name = after


def cancel_idle(session: Session, job: JobRow) -> None:
    """Cancel the stages that nobody runs and that have not ended."""
    for stage in stages_of(session, job):
        if stage.state in (StageState.WAITING, StageState.QUEUED, StageState.PAUSED):
            move_stage(session, stage, StageState.CANCELLED)
