"""Rate limits on the requests of one key or one address.

They keep one caller from crowding out the others. They are no protection: while Redis is down,
every request is answered.
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
"""The pause in counting after Redis did not answer, so that requests do not wait for it."""
_REDIS = {"socket_connect_timeout": 0.5, "socket_timeout": 0.5}


class Rates:
    """The limits of one API process; processes share them through the broker's Redis, if there is one."""

    def __init__(self, settings: Settings) -> None:
        url = settings.broker_url or ""
        shared = url.startswith(("redis://", "rediss://"))
        storage = storage_from_string(url, **_REDIS) if shared else storage_from_string("memory://")
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._for_keys = _parsed(_DEFAULT if settings.rate_limit is None else settings.rate_limit)
        self._for_this_machine = _parsed(settings.rate_limit or "none")
        self._away_until = 0.0

    def count(self, caller: str, *, local: bool = False) -> None:
        """Count one request of ``caller``, a key's id or an address; raises :class:`RateLimited`.

        ``local`` means that no keys exist. Requests are then limited only if the setting says so.
        """
        items = self._for_this_machine if local else self._for_keys
        if not items or time.monotonic() < self._away_until:
            return
        try:
            for item in items:
                if not self._limiter.hit(item, caller):
                    reset = self._limiter.get_window_stats(item, caller).reset_time
                    raise RateLimited(str(item), max(1, math.ceil(reset - time.time())))
        except RateLimited:
            raise
        except (
            Exception
        ) as error:  # Redis's library raises many kinds of errors while Redis is down
            self._away_until = time.monotonic() + _AWAY_SECONDS
            _LOG.warning("rates not counted", error=type(error).__name__)


def _parsed(text: str) -> list[RateLimitItem]:
    return [] if text == "none" else parse_many(text)
