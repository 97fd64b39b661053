"""Asking until an answer comes: what is tried again, how often, and how long it waits between."""

import json
import random
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx
from pydantic import BaseModel

from dealrec.client.errors import ApiError
from dealrec.client.transport import Request, Transport

_FIRST_SECONDS = 0.25
_LONGEST_SECONDS = 15.0
_LONGEST_ASKED_SECONDS = 120.0
"""A service that asks for more (a quota that is used up) is not waited for: its caller should know."""


class Attempts:
    """How often one thing may be tried again; the wait doubles each time, with jitter."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._failed = 0

    async def after(self, error: ApiError) -> None:
        """Wait before the next attempt; raises ``error`` where there is to be none."""
        asked = error.retry_after or 0.0
        hopeless = not error.transient or asked > _LONGEST_ASKED_SECONDS
        if hopeless or self._failed >= self._transport.server.retries:
            raise error
        longest = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2**self._failed)
        self._failed += 1
        # Callers that failed together must not come back together.
        wait = random.uniform(0.5 * longest, longest)  # noqa: S311
        await self._transport.sleep(max(wait, asked))

    def begin_anew(self) -> None:
        """Something was achieved since the last failure."""
        self._failed = 0


async def ask(transport: Transport, request: Request) -> httpx.Response:
    """The answer, once it is a success.

    Connections that fail, 429, 502, 503 and 504 are tried again. So nothing is done twice: every
    request of this client can be repeated by its nature, or has an ``Idempotency-Key``
    (:func:`creating`). Raises :class:`ApiError`.
    """
    attempts = Attempts(transport)
    while True:
        try:
            return await ask_once(transport, request)
        except ApiError as error:
            await attempts.after(error)


async def ask_once(transport: Transport, request: Request) -> httpx.Response:
    """The answer to one attempt; raises :class:`ApiError` where it is no success."""
    response = await transport.send(request)
    if not response.is_success:
        raise ApiError.of_answer(response)
    return response


async def delete(transport: Transport, path: str, *, cascade: bool | None = None) -> None:
    """Delete what is at ``path``; that it is gone when asked again is what was wanted."""
    attempts, request = Attempts(transport), Request("DELETE", path, {"cascade": cascade})
    again = False
    while True:
        try:
            await ask_once(transport, request)
        except ApiError as error:
            if again and error.status == httpx.codes.NOT_FOUND:
                return
            await attempts.after(error)
            again = True
        else:
            return


def creating(
    path: str, body: Any = None, *, idempotency_key: str | None = None, **parts: Any
) -> Request:
    """A POST that has an effect; its key makes the service answer a repetition with the first answer."""
    headers = {"idempotency-key": idempotency_key or new_key()}
    return Request("POST", path, json=body, headers=headers, **parts)


def new_key() -> str:
    """An ``Idempotency-Key`` that nobody else has."""
    return uuid4().hex


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the caller gave; the service has its own defaults for the rest."""
    return {name: value for name, value in values.items() if value is not None}


def plain(config: BaseModel | Mapping[str, Any]) -> dict[str, Any]:
    """The options that the caller set, as JSON."""
    if isinstance(config, BaseModel):
        return config.model_dump(mode="json", exclude_unset=True)
    copied: dict[str, Any] = json.loads(json.dumps(dict(config)))
    return copied
