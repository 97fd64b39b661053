"""The schemas of the server's state over HTTP."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from dealrec.app.stages.schemas import Progress


class QueueState(BaseModel):
    """A queue of stages, over all tenants."""

    queue: str
    """``cpu`` or ``gpu``."""
    waiting: int
    """The stages that wait for a worker."""
    oldest_seconds: float
    """How long the first of them has been waiting; 0 if none is waiting."""
    running: int
    workers: int
    """The workers that take stages from the queue and were seen within the last minute."""


class WorkerTask(BaseModel):
    """A stage that a worker runs."""

    stage: str
    job_id: str | None
    """Null for the validation of a data set, and for a stage of another tenant."""
    foreign: bool
    """Whether the stage belongs to another tenant."""
    seconds: float
    """The time since the worker took the stage."""
    progress: Progress | None


class WorkerState(BaseModel):
    """A worker process that has not shut down properly."""

    id: str
    """The host, the process id and a random part."""
    queues: list[str]
    seen_at: datetime
    present: bool
    """Whether the worker was seen within the last minute. If not, it may have died."""
    tasks: list[WorkerTask]


class StorageState(BaseModel):
    """The store of files."""

    stored_bytes: int
    """The bytes of all tenants, as quotas count them."""
    free_bytes: int | None
    """The bytes that are free on its disk; null for an object store."""


class ServerState(BaseModel):
    """Queues, workers and storage of the whole server."""

    object: Literal["server"] = "server"
    queues: list[QueueState]
    workers: list[WorkerState]
    storage: StorageState
