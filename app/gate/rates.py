"""Rate limits: how often one key, or one address, is answered.

They keep one caller from crowding out the others, and guard nothing: where Redis is away, everybody
is answered.
"""

import math
import time

import structlog
from limits import RateLimitItem, parse_many
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter

from dealrec.app.kit.errors import RateLimited
from dealrec.app.settings import Settings

_LOG = structlog.get_logger("dealrec.rates")
_DEFAULT = "6000/minute"
_AWAY_SECONDS = 10.0
"""So long nothing is counted after Redis did not answer, rather than each request waiting for it."""
_REDIS = {"socket_connect_timeout": 0.5, "socket_timeout": 0.5}


class Rates:
    """Of one API process; shared between them through the broker's Redis where there is one."""

    def __init__(self, settings: Settings) -> None:
        url = settings.broker_url or ""
        shared = url.startswith(("redis://", "rediss://"))
        storage = storage_from_string(url, **_REDIS) if shared else storage_from_string("memory://")
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._of_keys = _parsed(_DEFAULT if settings.rate_limit is None else settings.rate_limit)
        self._of_this_machine = _parsed(settings.rate_limit or "none")
        self._away_until = 0.0

    def count(self, caller: str, *, local: bool = False) -> None:
        """One request of ``caller``, a key's id or an address; raises :class:`RateLimited`.

        ``local``: no keys exist. Then nothing is limited unless the setting says so.
        """
        items = self._of_this_machine if local else self._of_keys
        if not items or time.monotonic() < self._away_until:
            return
        try:
            for item in items:
                if not self._limiter.hit(item, caller):
                    reset = self._limiter.get_window_stats(item, caller).reset_time
                    raise RateLimited(str(item), max(1, math.ceil(reset - time.time())))
        except RateLimited:
            raise
        except Exception as error:  # whatever Redis's library raises while it is down
            self._away_until = time.monotonic() + _AWAY_SECONDS
            _LOG.warning("rates not counted", error=type(error).__name__)


def _parsed(text: str) -> list[RateLimitItem]:
    return [] if text == "none" else parse_many(text)
