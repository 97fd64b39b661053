"""The controls of a job: cancel, pause, resume, retry.

Everything happens in the caller's transaction. The runner of a stage reads its job's state about
once a second and acts on it.
"""

from collections.abc import Callable

from sqlalchemy.orm import Session

from dealrec.app.jobs.lifecycle import cancel_idle, fail_job, queue_possible, stages_of, start_job
from dealrec.app.kit.errors import Conflict
from dealrec.app.quotas.service import require_gpu_time, require_open_job
from dealrec.app.stages.queueing import queue_stage
from dealrec.app.stages.transitions import lock_dataset, lock_job, move_job, move_stage
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import ENDED_JOBS, JobRow, JobState, StageState
from dealrec.config.stages import StageName

JobRequest = Callable[[Session, JobRow], None]
"""The type of the functions below."""


def request_cancel(session: Session, job: JobRow) -> None:
    """Stop the job, at once if nothing runs; otherwise its runner stops within seconds.

    A repeated request while it is ``cancelling`` changes nothing. Raises :class:`Conflict`
    (``job_not_active``, with its ``state``) for a job that has ended.
    """
    job = lock_job(session, job.id)
    if job.state == JobState.CANCELLING:
        return
    _require_active(job, "cancel")
    cancel_idle(session, job)
    move_job(session, job, JobState.CANCELLING if _runs(session, job) else JobState.CANCELLED)


def request_pause(session: Session, job: JobRow) -> None:
    """Pause the job: a running stage stops at its last checkpoint, and waiting stages stay.

    A repeated request changes nothing. Raises :class:`Conflict` (``job_not_active``) for a job that has
    ended or is being cancelled.
    """
    job = lock_job(session, job.id)
    if job.state in (JobState.PAUSING, JobState.PAUSED):
        return
    if job.state == JobState.CANCELLING:
        raise _refused(job, "pause", "job_not_active")
    _require_active(job, "pause")
    for stage in stages_of(session, job):
        if stage.state == StageState.QUEUED:
            move_stage(session, stage, StageState.PAUSED)
    move_job(session, job, JobState.PAUSING if _runs(session, job) else JobState.PAUSED)


def request_resume(session: Session, job: JobRow) -> None:
    """Continue a paused job.

    Raises :class:`Conflict` (``job_not_paused``) for any other job, also for one that is still
    ``pausing``, :class:`~dealrec.errors.InputError` if the job cannot run on the data set that it
    waited for, and :class:`QuotaExceeded`.
    """
    dataset = lock_dataset(session, job.dataset_id)
    job = lock_job(session, job.id)
    if job.state != JobState.PAUSED:
        raise _refused(job, "resume", "job_not_paused")
    require_gpu_time(session, job.tenant_id)
    move_job(session, job, JobState.QUEUED if job.started_at is None else JobState.RUNNING)
    _continue(session, job, dataset)


def request_retry(session: Session, job: JobRow) -> None:
    """Restart a failed job: finished stages are kept, and the others get all their attempts again.

    Raises :class:`Conflict` (``job_not_failed``, ``dataset_rejected``),
    :class:`~dealrec.errors.InputError` if the job cannot run on its data set, and
    :class:`QuotaExceeded`.
    """
    dataset = lock_dataset(session, job.dataset_id)
    job = lock_job(session, job.id)
    if job.state != JobState.FAILED:
        raise _refused(job, "retry", "job_not_failed")
    if dataset.state == DatasetState.REJECTED:
        raise Conflict("The data set was rejected. Its `error` says why.", code="dataset_rejected")
    require_open_job(session, job.tenant_id)
    to = JobState.QUEUED if job.started_at is None else JobState.RUNNING
    move_job(session, job, to, error=None)
    for stage in stages_of(session, job):
        if stage.state in (StageState.FAILED, StageState.CANCELLED):
            move_stage(
                session,
                stage,
                StageState.WAITING,
                error=None,
                attempt=0,
                deaths=0,
                lost_leases=0,
                started_at=None,
                finished_at=None,
            )
    _continue(session, job, dataset)


def _continue(session: Session, job: JobRow, dataset: DatasetRow) -> None:
    stages = stages_of(session, job)
    if any(stage.key is None for stage in stages):  # the job has not started yet
        if dataset.state == DatasetState.READY:
            start_job(session, job, dataset)
        elif dataset.state == DatasetState.REJECTED:
            problem = dataset.error or {"code": "dataset_rejected"}
            fail_job(session, job, problem, stage=StageName.INGEST)
        return
    for stage in stages:
        if stage.state == StageState.PAUSED:
            queue_stage(session, stage)
    queue_possible(session, job)


def _runs(session: Session, job: JobRow) -> bool:
    return any(stage.state == StageState.RUNNING for stage in stages_of(session, job))


def _require_active(job: JobRow, verb: str) -> None:
    if job.state in ENDED_JOBS:
        raise _refused(job, verb, "job_not_active")


def _refused(job: JobRow, verb: str, code: str) -> Conflict:
    return Conflict(
        f"The state of the job is `{job.state}`, so there is nothing to {verb}.",
        code=code,
        state=job.state,
    )
