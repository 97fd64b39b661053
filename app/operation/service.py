"""Puts the state of the server together."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from dealrec.app.kit.database import database_now
from dealrec.app.kit.dispatch import QUEUES
from dealrec.app.kit.storage import Storage
from dealrec.app.operation.schemas import (
    QueueState,
    ServerState,
    StorageState,
    WorkerState,
    WorkerTask,
)
from dealrec.app.quotas.repository import stored_bytes
from dealrec.app.stages.schemas import Progress
from dealrec.app.stages.work import known_workers, queued_stages, running_stages
from dealrec.app.stages.workers import SEEN_SECONDS
from dealrec.app.tables.jobs import StageRow


def server_state(session: Session, storage: Storage, tenant_id: str) -> ServerState:
    """Describe the server for an administrator of the tenant, who sees no ids of other tenants."""
    now = database_now(session)
    running = running_stages(session)
    tasks: dict[str, list[WorkerTask]] = defaultdict(list)
    for stage in running:
        tasks[stage.owner or ""].append(_task(stage, tenant_id, now))
    workers = [
        WorkerState(
            id=row.id,
            queues=row.queues,
            seen_at=row.seen_at,
            present=now - row.seen_at <= timedelta(seconds=SEEN_SECONDS),
            tasks=tasks[row.id],
        )
        for row in known_workers(session)
    ]
    return ServerState(
        queues=_queues(session, running, workers, now),
        workers=workers,
        storage=StorageState(
            stored_bytes=stored_bytes(session, None), free_bytes=storage.free_bytes()
        ),
    )


def _queues(
    session: Session, running: Sequence[StageRow], workers: list[WorkerState], now: datetime
) -> list[QueueState]:
    waiting = {queue: (count, since) for queue, count, since in queued_stages(session)}
    busy = Counter(stage.queue for stage in running)
    takers = Counter(queue for worker in workers if worker.present for queue in worker.queues)
    found = []
    for queue in QUEUES:
        count, since = waiting.get(queue, (0, None))
        found.append(
            QueueState(
                queue=queue,
                waiting=count,
                oldest_seconds=_passed(since, now),
                running=busy[queue],
                workers=takers[queue],
            )
        )
    return found


def _task(stage: StageRow, tenant_id: str, now: datetime) -> WorkerTask:
    foreign = stage.tenant_id != tenant_id
    return WorkerTask(
        stage=stage.name,
        job_id=None if foreign else stage.job_id,
        foreign=foreign,
        seconds=_passed(stage.started_at, now),
        progress=Progress.model_validate(stage.progress) if stage.progress else None,
    )


def _passed(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else round(max(0.0, (now - since).total_seconds()), 1)
