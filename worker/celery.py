"""The Celery application and its one task. The message carries a stage's id, nothing else.

Late acknowledgement, a prefetch of one and the spawned pool reduce waste; that nothing is lost or
done twice rests on :mod:`dealrec.worker.claims` alone.
"""

import math
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import structlog
from celery import Celery
from celery.signals import (
    setup_logging,
    worker_init,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from celery.worker import state

from dealrec.app.kit.database import Database
from dealrec.app.kit.dispatch import BROKER_OPTIONS, QUEUES
from dealrec.app.kit.logging import configure_logging
from dealrec.app.kit.storage import Storage
from dealrec.app.kit.traces import start_traces
from dealrec.app.settings import Settings
from dealrec.app.stages.wakeups import TASK
from dealrec.worker.claims import claim
from dealrec.worker.deliverer import keep_delivering
from dealrec.worker.loop import keep_watch, worker_name
from dealrec.worker.runner import Runner

log = structlog.get_logger(__name__)

_STOP_FILE = "DEALREC_WORKER_STOP_FILE"
"""A file that tells the pool's process, which gets no signal, that the worker shuts down."""

_ASK_SECONDS = 5.0
_IDLE_SECONDS = 15.0
"""A worker counts as away after so long without a message while messages wait or the broker is away."""
_STUCK_SECONDS = 60.0
"""A worker ends itself after so long without a message while messages wait in a reachable broker."""

settings = Settings()
celery = Celery("dealrec", broker=settings.broker_url)
celery.conf.update(
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,  # however long the broker is away
    broker_transport_options={**BROKER_OPTIONS, "visibility_timeout": 24 * 3600},
    task_acks_late=True,
    task_reject_on_worker_lost=False,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_concurrency=1,
    worker_pool="prefork",
    worker_pool_start_method="spawn",
    # A process that starts slowly on a busy machine is not killed again and again (default: 4 s).
    worker_proc_alive_timeout=60.0,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_soft_shutdown_timeout=settings.cancel_grace_seconds + 10,
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
)


@cache
def _runner() -> tuple[Database, Runner, str]:
    """The runner of this pool process; it is made when the first task arrives."""
    start_traces("worker")
    database = Database(settings)
    return database, Runner(settings, database, Storage(settings), _stopping), worker_name()


@celery.task(name=TASK, bind=True)
def run_stage(self: Any, _stage_id: str) -> None:
    """Claim the stage of this queue whose turn it is, and run it.

    The message says that there is work, not which: the order of messages is not a fair one, and a
    message may be late or twice there. The stage's id tells people who look at the broker.
    """
    if _stopping():
        return
    database, runner, owner = _runner()
    queue = self.request.delivery_info["routing_key"]
    claimed = claim(database, settings, owner, queues=[queue])
    if claimed is not None:
        runner.run(claimed)


def _stopping() -> bool:
    path = os.environ.get(_STOP_FILE)
    return path is not None and Path(path).exists()


class Watch:
    """The thread of the worker's main process that sweeps and says that the worker lives.

    ``end`` ends the worker; whatever looks after the process starts another.
    """

    def __init__(self, end: Callable[[], object]) -> None:
        self._end = end
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._deliveries: threading.Thread | None = None
        self._database: Database | None = None
        self._queues: list[str] = []
        self._asked = -math.inf
        self._received = -1
        self._idle_since = time.monotonic()
        self._stuck_since: float | None = None

    def start(self, database: Database, queues: list[str]) -> None:
        self._database, self._queues = database, queues
        self._thread = threading.Thread(
            target=keep_watch,
            args=(
                settings,
                self._database,
                Storage(settings),
                worker_name(),
                queues,
                self._stopped,
                self.consuming,
            ),
            daemon=True,
        )
        self._thread.start()
        self._deliveries = threading.Thread(
            target=keep_delivering,
            args=(settings, self._database, worker_name(), self._stopped),
            daemon=True,
        )
        self._deliveries.start()

    def consuming(self) -> bool:
        """Whether this worker takes messages: it has one, or none has waited for long.

        A connection may be up, and the process alive, while nothing arrives: it happened, for good, after
        a broker came back. So the queues are asked, over a connection of their own.
        """
        now, received = time.monotonic(), sum(state.total_count.values())
        if received != self._received or state.reserved_requests:
            self._received, self._idle_since, self._stuck_since = received, now, None
        elif now - self._asked >= _ASK_SECONDS:
            self._asked = now
            waiting = self._waiting()
            if waiting is False:
                self._idle_since = now
            if not waiting:
                self._stuck_since = None
            elif self._stuck_since is None:
                self._stuck_since = now
            elif now - self._stuck_since >= _STUCK_SECONDS:
                log.error("messages wait and do not arrive; the worker ends")
                self._end()
        return now - self._idle_since < _IDLE_SECONDS

    def _waiting(self) -> bool | None:
        """Whether messages wait in this worker's queues; ``None`` where the broker is away."""
        assert self._database is not None and self._database.dispatcher is not None
        try:
            return any(self._database.dispatcher.depth(queue) for queue in self._queues)
        except Exception:  # whatever the broker's library raises while it is down
            return None

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None and self._database is not None:
            self._thread.join(10)
            if self._deliveries is not None:
                self._deliveries.join(10)
            self._database.dispose()


_watch = Watch(lambda: os.kill(os.getpid(), signal.SIGTERM))


@setup_logging.connect
def _logging(**_: Any) -> None:
    configure_logging()


@worker_init.connect
def _before_pool(**_: Any) -> None:
    os.environ[_STOP_FILE] = str(Path(tempfile.mkdtemp(prefix="dealrec-worker-")) / "stop")


@worker_ready.connect
def _ready(sender: Any, **_: Any) -> None:
    queues = sorted(queue.name for queue in sender.task_consumer.queues)
    _watch.start(Database(settings), [name for name in queues if name in QUEUES])


@worker_shutting_down.connect
def _shutting_down(**_: Any) -> None:
    # Runs inside a signal handler: only a file is made.
    Path(os.environ[_STOP_FILE]).touch()


@worker_shutdown.connect
def _shutdown(**_: Any) -> None:
    _watch.stop()
    stop_file = Path(os.environ[_STOP_FILE])
    stop_file.unlink(missing_ok=True)
    stop_file.parent.rmdir()
