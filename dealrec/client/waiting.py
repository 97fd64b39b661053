"""Polling of a resource until the service has finished with it."""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from dealrec.client.errors import ApiError
from dealrec.client.transport import Transport

T = TypeVar("T")
_FIRST_SECONDS = 0.1
_LONGEST_SECONDS = 2.0
_GROWTH = 1.5


async def until(
    transport: Transport,
    found: Callable[[], Awaitable[T]],
    rests: Callable[[T], bool],
    *,
    what: str,
    timeout: float | None,
) -> T:
    """Call ``found`` until its result ``rests``: often at first, then every two seconds.

    Raises:
        ApiError: ``wait_timed_out`` after ``timeout`` seconds; ``what`` names the resource in it.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    pause = _FIRST_SECONDS
    while True:
        thing = await found()
        if rests(thing):
            return thing
        if deadline is not None and time.monotonic() >= deadline:
            raise ApiError(
                f"{what} has not finished after {timeout:g} s. You can wait for it again.",
                code="wait_timed_out",
                title="The wait timed out",
            )
        left = pause if deadline is None else deadline - time.monotonic()
        await transport.sleep(max(0.0, min(pause, left)))
        pause = min(_LONGEST_SECONDS, pause * _GROWTH)
