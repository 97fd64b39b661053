"""The embedded worker: claims straight from the database, one stage at a time, no broker.

``dealrec serve`` starts it as ``python -m worker.loop``; it ends when its parent does.
"""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from secrets import token_hex

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.jobs.workers import gone, saw
from app.kit.database import Database
from app.kit.dispatch import QUEUES
from app.kit.logging import configure_logging
from app.kit.storage import Storage
from app.settings import Settings
from worker.claims import claim
from worker.runner import Runner
from worker.scratch import remove_stale_scratch
from worker.sweeper import sweep

log = structlog.get_logger(__name__)


def worker_name() -> str:
    """Host, process and a random part: no two workers share it."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}:{token_hex(4)}"


def keep_watch(
    settings: Settings,
    database: Database,
    storage: Storage,
    owner: str,
    queues: Iterable[str],
    stopped: threading.Event,
) -> None:
    """Say now and then that this worker lives, and sweep; until ``stopped``."""
    swept = 0.0
    while True:
        try:
            with database.session() as session:
                saw(session, owner, list(queues))
            if time.monotonic() - swept >= settings.sweep_seconds:
                sweep(settings, database, storage)
                remove_stale_scratch(settings, database)
                swept = time.monotonic()
        except (SQLAlchemyError, OSError) as error:
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

    runner = Runner(settings, database, storage, stopping=ending)
    watch = threading.Thread(
        target=keep_watch, args=(settings, database, storage, owner, QUEUES, stopped)
    )
    watch.start()
    log.info("worker started", owner=owner)
    try:
        while not ending():
            try:
                claimed = claim(database, settings, owner, queues=QUEUES)
                if claimed is not None:
                    runner.run(claimed)
                    continue
            except SQLAlchemyError as error:
                log.warning("database not reached", error=type(error).__name__)
            stopped.wait(settings.poll_seconds)
    finally:
        stopped.set()
        watch.join()
        database.dispose()
        log.info("worker ended", owner=owner)


def main() -> None:
    """Run until SIGTERM, SIGINT or the parent's end."""
    configure_logging()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    parent = os.getppid()
    run_loop(Settings(), stopped, parent_alive=lambda: os.getppid() == parent)


if __name__ == "__main__":
    main()
