"""The threads of a worker that tell others of jobs: receivers of webhooks, and the operator's trackers."""

import threading
from collections.abc import Callable

import structlog

from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tracking.writing import TrackWriter
from dealrec.app.webhooks.delivery import Deliverer

log = structlog.get_logger(__name__)

_LOOKS = 2.0
"""They look for work this many times more seldom than an embedded worker looks for stages."""


def keep_delivering(
    settings: Settings, database: Database, owner: str, stopped: threading.Event
) -> None:
    """Deliver what is due, again and again, until ``stopped``; a tracker keeps no webhook waiting."""
    deliverer = Deliverer(settings, database, owner, stopped.is_set)
    if settings.track:
        writer = TrackWriter(settings, database, Storage(settings))
        records = (settings, stopped, writer.round, "records")
        # A tracker may take long to say that it is away, so nobody waits for its thread to end.
        threading.Thread(target=_keep_on, args=records, name="trackers", daemon=True).start()
    try:
        _keep_on(settings, stopped, deliverer.round, "webhooks")
    finally:
        deliverer.close()


def _keep_on(
    settings: Settings, stopped: threading.Event, look: Callable[[], int], what: str
) -> None:
    while not stopped.is_set():
        try:
            look()
        except Exception as error:  # whatever the libraries of database, store and network raise
            log.warning(f"{what} not delivered", error=type(error).__name__)
        stopped.wait(_LOOKS * settings.poll_seconds)
