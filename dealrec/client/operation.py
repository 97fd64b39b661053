"""The state of a server, for its operators."""

from datetime import datetime

from dealrec.client.records import Progress, Record


class QueueState(Record):
    """A queue of stages, over all tenants."""

    queue: str
    waiting: int
    oldest_seconds: float
    """How long the first waiting stage has been waiting."""
    running: int
    workers: int
    """The workers that take stages from the queue and were seen within the last minute."""


class WorkerTask(Record):
    """A stage that a worker runs."""

    stage: str
    job_id: str | None = None
    """``None`` for the validation of a data set, and for a stage of another tenant."""
    foreign: bool
    """Whether it belongs to another tenant."""
    seconds: float
    progress: Progress | None = None


class WorkerState(Record):
    """A worker that has not shut down properly."""

    id: str
    queues: list[str]
    seen_at: datetime
    present: bool
    """Whether the worker was seen within the last minute."""
    tasks: list[WorkerTask]


class StorageState(Record):
    """The store of files."""

    stored_bytes: int
    free_bytes: int | None = None
    """``None`` for an object store."""


class ServerState(Record):
    """Queues, workers and storage of the whole server."""

    object: str
    queues: list[QueueState]
    workers: list[WorkerState]
    storage: StorageState
