"""``python -m dealrec.worker.health``: exit status 0 if a worker of this host was seen lately."""

import socket
import sys

from dealrec.app.kit.database import Database
from dealrec.app.settings import Settings
from dealrec.app.stages.workers import seen_lately

_SECONDS = 60.0


def healthy(settings: Settings, host: str) -> bool:
    """Whether a worker on ``host`` has said within a minute that it lives."""
    database = Database(settings)
    try:
        with database.session(write=False) as session:
            return seen_lately(session, _SECONDS, host=host)
    finally:
        database.dispose()


if __name__ == "__main__":
    sys.exit(0 if healthy(Settings(), socket.gethostname()) else 1)
