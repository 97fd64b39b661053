"""Requests that are repeated until they succeed: which ones, how often, and with which waits."""

import json
import random
from collections.abc import Mapping
from typing import Any, TypeVar
from uuid import uuid4

import httpx
from pydantic import BaseModel

from dealrec.client.errors import ApiError
from dealrec.client.transport import Request, Transport

T = TypeVar("T")
_FIRST_SECONDS = 0.25
_LONGEST_SECONDS = 15.0
_LONGEST_ASKED_SECONDS = 120.0
"""A longer wait, as for a used-up quota, is raised to the caller instead."""


class Attempts:
    """Counts the failures of one request; the wait doubles with each one, with jitter."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._failed = 0

    async def after(self, error: ApiError) -> None:
        """Wait before the next attempt, or raise ``error`` when there is no further attempt."""
        asked = error.retry_after or 0.0
        hopeless = not error.transient or asked > _LONGEST_ASKED_SECONDS
        if hopeless or self._failed >= self._transport.server.retries:
            raise error
        longest = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2**self._failed)
        self._failed += 1
        # Jitter keeps clients that failed together from retrying together.
        wait = random.uniform(0.5 * longest, longest)  # noqa: S311
        await self._transport.sleep(max(wait, asked))

    def begin_anew(self) -> None:
        """Forget earlier failures, because there was progress since."""
        self._failed = 0


async def ask(transport: Transport, request: Request) -> httpx.Response:
    """Send the request until its answer is a success.

    Failed connections and the statuses 429, 502, 503 and 504 are tried again. Nothing is done twice:
    every request of this client is repeatable by nature or has an ``Idempotency-Key``
    (:func:`creating`).

    Raises:
        ApiError: The last error, when no further attempt is worthwhile.
    """
    attempts = Attempts(transport)
    while True:
        try:
            return await ask_once(transport, request)
        except ApiError as error:
            await attempts.after(error)


async def fetched(transport: Transport, path: str, query: Mapping[str, Any] | None = None) -> Any:
    """The JSON that the service answers to a GET of ``path``."""
    return (await ask(transport, Request("GET", path, query or {}))).json()


async def ask_once(transport: Transport, request: Request) -> httpx.Response:
    """Send the request once; raises :class:`ApiError` when the answer is not a success."""
    response = await transport.send(request)
    if not response.is_success:
        raise ApiError.of_answer(response)
    return response


async def delete(transport: Transport, path: str, *, cascade: bool | None = None) -> None:
    """Delete the resource at ``path``; a 404 after the first attempt counts as success."""
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


async def rename(transport: Transport, path: str, name: str) -> Any:
    """Give the resource at ``path`` another name, and return it as it is then."""
    return (await ask(transport, Request("PATCH", path, json={"name": name}))).json()


def creating(
    path: str, body: Any = None, *, idempotency_key: str | None = None, **parts: Any
) -> Request:
    """Make a POST whose key makes the service answer a repetition with its first answer."""
    headers = {"idempotency-key": idempotency_key or new_key()}
    return Request("POST", path, json=body, headers=headers, **parts)


def new_key() -> str:
    """Make a unique ``Idempotency-Key``."""
    return uuid4().hex


def without_none(values: Mapping[str, T | None]) -> dict[str, T]:
    """Keep the values that the caller gave; the service has defaults for the rest."""
    return {name: value for name, value in values.items() if value is not None}


def plain(config: BaseModel | Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that the caller set, as a JSON object."""
    if isinstance(config, BaseModel):
        return config.model_dump(mode="json", exclude_unset=True)
    copied: dict[str, Any] = json.loads(json.dumps(dict(config)))
    return copied
