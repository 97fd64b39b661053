"""The embedded worker: claims straight from the database, one stage at a time, no broker.

``dealrec serve`` starts it as ``python -m dealrec.worker.loop``; it ends when its parent does.
"""

import contextlib
import math
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from secrets import token_hex

import structlog
from sqlalchemy.exc import SQLAlchemyError

from dealrec.app.kit.database import Database
from dealrec.app.kit.dispatch import QUEUES
from dealrec.app.kit.logging import configure_logging
from dealrec.app.kit.storage import Storage
from dealrec.app.kit.traces import start_traces
from dealrec.app.settings import Settings
from dealrec.app.stages.workers import gone, saw
from dealrec.worker.claims import claim
from dealrec.worker.deliverer import keep_delivering
from dealrec.worker.runner import Runner
from dealrec.worker.scratch import remove_stale_scratch
from dealrec.worker.sweeper import sweep

_LOOKS_SECONDS = 30.0
"""A worker counts as away after so long without a run and without looking for work."""

log = structlog.get_logger(__name__)


def worker_name() -> str:
    """A name of host, process and a random part, which no two workers share."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}:{token_hex(4)}"


def keep_watch(
    settings: Settings,
    database: Database,
    storage: Storage,
    owner: str,
    queues: Iterable[str],
    stopped: threading.Event,
    consuming: Callable[[], bool],
) -> None:
    """Say now and then that this worker takes work, while it does, and sweep; until ``stopped``.

    A process that lives and takes nothing (``consuming`` is false) is not said to be there.
    """
    swept, orphans_swept = -math.inf, -math.inf
    while True:
        try:
            if consuming():
                with database.session() as session:
                    saw(session, owner, list(queues))
            now = time.monotonic()
            if now - swept >= settings.sweep_seconds:
                orphans = now - orphans_swept >= settings.orphan_sweep_seconds
                if sweep(settings, database, storage, orphans=orphans) and orphans:
                    orphans_swept = now
                remove_stale_scratch(settings, database)
                swept = now
        except Exception as error:  # whatever the libraries of database and store raise while away
            log.warning("watch failed", error=type(error).__name__)
        if stopped.wait(min(5.0, settings.sweep_seconds)):
            break
    with contextlib.suppress(SQLAlchemyError), database.session() as session:
        gone(session, owner)


def run_loop(
    settings: Settings,
    stopped: threading.Event,
    *,
    parent_alive: Callable[[], bool] = lambda: True,
) -> None:
    """Claim and run until ``stopped`` is set or the parent is gone."""
    database, storage, owner = Database(settings), Storage(settings), worker_name()

    def ending() -> bool:
        return stopped.is_set() or not parent_alive()

    looked, runs = time.monotonic(), False

    def consuming() -> bool:
        return runs or time.monotonic() - looked < _LOOKS_SECONDS

    runner = Runner(settings, database, storage, stopping=ending)
    watch = threading.Thread(
        target=keep_watch, args=(settings, database, storage, owner, QUEUES, stopped, consuming)
    )
    watch.start()
    deliveries = threading.Thread(
        target=keep_delivering, args=(settings, database, owner, stopped), name="webhooks"
    )
    deliveries.start()
    log.info("worker started", owner=owner)
    try:
        while not ending():
            try:
                claimed = claim(database, settings, owner, queues=QUEUES)
                looked, runs = time.monotonic(), claimed is not None
                if claimed is not None:
                    runner.run(claimed)
                    continue
            except SQLAlchemyError as error:
                log.warning("database not reached", error=type(error).__name__)
            stopped.wait(settings.poll_seconds)
    finally:
        stopped.set()
        watch.join()
        deliveries.join()
        database.dispose()
        log.info("worker ended", owner=owner)


def main() -> None:
    """Run until SIGTERM, SIGINT or the parent's end."""
    configure_logging()
    start_traces("worker")
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    parent = os.getppid()
    run_loop(Settings(), stopped, parent_alive=lambda: os.getppid() == parent)


if __name__ == "__main__":
    main()
