"""The thread of a worker that delivers the messages of webhooks."""

import threading

import structlog

from dealrec.app.kit.database import Database
from dealrec.app.settings import Settings
from dealrec.app.webhooks.delivery import Deliverer

log = structlog.get_logger(__name__)

_LOOKS = 2.0
"""It looks for messages this many times more seldom than an embedded worker looks for stages."""


def keep_delivering(
    settings: Settings, database: Database, owner: str, stopped: threading.Event
) -> None:
    """Deliver what is due, again and again, until ``stopped``."""
    deliverer = Deliverer(settings, database, owner, stopped.is_set)
    try:
        while not stopped.is_set():
            try:
                deliverer.round()
            except Exception as error:  # whatever the libraries of database and network raise
                log.warning("webhooks not delivered", error=type(error).__name__)
            stopped.wait(_LOOKS * settings.poll_seconds)
    finally:
        deliverer.close()
