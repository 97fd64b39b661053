"""Finds work that nobody does: expired leases, lost wake-ups, jobs that were not started, schedules due."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy import func, select

from dealrec.app.audit.repository import forget_old as forget_old_audit
from dealrec.app.jobs.lifecycle import dataset_ready, dataset_rejected, waiting_jobs
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.dispatch import QUEUES
from dealrec.app.kit.idempotency.store import forget_old as forget_old_answers
from dealrec.app.kit.storage import Storage
from dealrec.app.schedules.repository import forget_old as forget_old_ticks
from dealrec.app.schedules.ticks import Ticker
from dealrec.app.settings import Settings
from dealrec.app.stages.events import forget_old as forget_old_events
from dealrec.app.stages.runs import forget_old as forget_old_runs
from dealrec.app.stages.transitions import lock_dataset
from dealrec.app.stages.wakeups import overdue, wake
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import JobRow, JobState, StageRow, StageState
from dealrec.app.uploads.service import expire_uploads
from dealrec.app.webhooks.repository import forget_old as forget_old_messages
from dealrec.worker import checkpoints
from dealrec.worker.claims import expire
from dealrec.worker.orphans import remove_orphans
from dealrec.worker.rejection import remove_rejected_files

log = structlog.get_logger(__name__)

_LOCK = 724_412


def sweep(
    settings: Settings, database: Database, storage: Storage, *, orphans: bool = False
) -> bool:
    """Sweep once; ``False`` if another worker is sweeping right now.

    ``orphans``: look for stored files that nobody owns, too, which lists the whole storage.
    """
    with _alone(database) as alone:
        if not alone:
            return False
        _expire_leases(settings, database)
        _start_jobs(database)
        Ticker(settings, database, storage).round()
        _wake_again(settings, database)
        remove_rejected_files(database, storage, hours=settings.upload_hours)
        expire_uploads(database, storage)
        checkpoints.remove_ended(database, storage, settings)
        if orphans:
            remove_orphans(database, storage, hours=settings.orphan_hours)
        with database.session() as session:
            forget_old_answers(session, hours=settings.idempotency_hours)
            forget_old_events(session, days=settings.event_days)
            forget_old_audit(session, days=settings.audit_days)
            forget_old_runs(session, days=settings.quota_gpu_days)
            forget_old_messages(session, days=settings.event_days)
            forget_old_ticks(session, days=settings.event_days)
    return True


@contextmanager
def _alone(database: Database) -> Iterator[bool]:
    """PostgreSQL's advisory lock; on SQLite every step is a write transaction, which is enough."""
    if not database.is_postgres:
        yield True
        return
    with database.session() as session:
        yield bool(session.scalar(select(func.pg_try_advisory_xact_lock(_LOCK))))


def _expire_leases(settings: Settings, database: Database) -> None:
    with database.session(write=False) as session:
        now = database_now(session)
        expired = session.scalars(
            select(StageRow.id).where(
                StageRow.state == StageState.RUNNING, StageRow.lease_until < now
            )
        ).all()
    for stage_id in expired:
        lost = expire(database, settings, stage_id)
        if lost is not None:
            log.warning(
                "lease expired",
                tenant=lost.tenant_id,
                job_id=lost.job_id,
                stage_id=stage_id,
                stage=lost.name,
                attempt=lost.attempt,
                fence=lost.fence,
            )


def _start_jobs(database: Database) -> None:
    """Start or fail the jobs whose data set has ended, if nobody has told them."""
    begun = select(StageRow.id).where(
        StageRow.job_id == JobRow.id, StageRow.state != StageState.WAITING
    )
    with database.session(write=False) as session:
        datasets = session.scalars(
            select(JobRow.dataset_id)
            .join(DatasetRow, DatasetRow.id == JobRow.dataset_id)
            .where(
                JobRow.state == JobState.QUEUED,
                DatasetRow.state != DatasetState.VALIDATING,
                ~begun.exists(),
            )
            .distinct()
        ).all()
    for dataset_id in datasets:
        with database.session() as session:
            dataset = lock_dataset(session, dataset_id)
            if not waiting_jobs(session, dataset):
                continue
            if dataset.state == DatasetState.READY:
                dataset_ready(session, dataset)
            else:
                dataset_rejected(session, dataset, dataset.error or {"code": "dataset_rejected"})


def _wake_again(settings: Settings, database: Database) -> None:
    """Repeat wake-ups of a queue that has run empty while stages still wait to be claimed.

    As long as messages are in the queue, workers are on their way; repeating would only pile up.
    """
    if database.dispatcher is None:
        return
    for queue in QUEUES:
        try:
            depth = database.dispatcher.depth(queue)
        except Exception as error:  # whatever the broker's library raises while it is down
            log.warning("broker not reached", error=type(error).__name__)
            return
        if depth:
            continue
        with database.session() as session:
            for stage in overdue(session, queue, settings.sweep_seconds):
                wake(session, stage)
