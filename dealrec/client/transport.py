"""One HTTP request as data, and the two ways to send it: blocking, and on an event loop.

Both speak coroutines. Those of :class:`BlockingTransport` never suspend, which is what lets one
implementation serve both clients (:mod:`dealrec.client.binding`).
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio
import anyio.to_thread
import httpx
from httpx_sse import EventSource, ServerSentEvent

from dealrec.client.errors import ApiError

T = TypeVar("T")
_CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Request:
    """What is asked. It can be sent any number of times: files are opened for each."""

    method: str
    path: str
    query: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    """What is ``None`` is left out."""
    json: Any = None
    content: bytes | None = None
    form: Mapping[str, str] | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """An answer whose body arrives piece by piece."""

    response: httpx.Response
    pieces: AsyncIterator[bytes]
    """As sent, no encoding undone."""
    events: AsyncIterator[ServerSentEvent]
    """The same body read as server-sent events: one or the other."""


@dataclass(frozen=True)
class Server:
    """Where the service is, who asks, and with how much patience."""

    url: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 120.0
    """Seconds that the service may be silent within one answer."""
    retries: int = 6
    """How often a request is sent again that found nobody, or a server that was busy."""

    def options(self, agent: str) -> dict[str, Any]:
        """What both kinds of :mod:`httpx` clients are made with."""
        headers = {"user-agent": agent}
        if self.key is not None:
            headers["authorization"] = f"Bearer {self.key}"
        timeout = httpx.Timeout(self.timeout, connect=_CONNECT_SECONDS)
        return {"base_url": self.url, "headers": headers, "timeout": timeout}


class Transport(Protocol):
    """Sends requests; raises :class:`ApiError` (``no_answer``, ``cannot_ask``) where none comes."""

    server: Server

    async def send(self, request: Request) -> httpx.Response:
        """The whole answer, whatever its status."""

    def open(self, request: Request) -> AbstractAsyncContextManager[Reading]:
        """The answer as it arrives."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run something that may block: disk, hashing."""


class BlockingTransport:
    """Sends on the calling thread; nothing here suspends."""

    def __init__(self, server: Server, agent: str) -> None:
        self.server = server
        self._http = httpx.Client(**server.options(agent))

    async def send(self, request: Request) -> httpx.Response:
        with _translated(self.server), ExitStack() as files:
            return self._http.request(request.method, request.path, **_arguments(request, files))

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[Reading]:
        with (
            _translated(self.server),
            ExitStack() as files,
            self._http.stream(
                request.method, request.path, **_arguments(request, files)
            ) as response,
        ):

            async def pieces() -> AsyncIterator[bytes]:
                for piece in response.iter_raw():
                    yield piece

            async def events() -> AsyncIterator[ServerSentEvent]:
                for event in EventSource(response).iter_sse():
                    yield event

            if not response.is_success:
                response.read()
            yield Reading(response, pieces(), events())

    async def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        return function(*arguments)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()


class AsyncTransport:
    """Sends on the running event loop."""

    def __init__(self, server: Server, agent: str) -> None:
        self.server = server
        self._http = httpx.AsyncClient(**server.options(agent))

    async def send(self, request: Request) -> httpx.Response:
        with _translated(self.server), ExitStack() as files:
            return await self._http.request(
                request.method, request.path, **_arguments(request, files)
            )

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[Reading]:
        with _translated(self.server), ExitStack() as files:
            async with self._http.stream(
                request.method, request.path, **_arguments(request, files)
            ) as response:
                if not response.is_success:
                    await response.aread()
                events = EventSource(response).aiter_sse()
                yield Reading(response, response.aiter_raw(), events)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        return await anyio.to_thread.run_sync(function, *arguments)

    async def close(self) -> None:
        """Give the connections back."""
        await self._http.aclose()


@contextmanager
def _translated(server: Server) -> Iterator[None]:
    """The errors of :mod:`httpx` as ours."""
    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        raise ApiError.cannot_ask(error) from None
    except httpx.TransportError as error:
        raise ApiError.no_answer(error, server.url) from error


def _arguments(request: Request, files: ExitStack) -> dict[str, Any]:
    """The request as :mod:`httpx` takes it; its files are open as long as ``files`` is."""
    arguments: dict[str, Any] = {
        "params": {name: value for name, value in request.query.items() if value is not None},
        "headers": dict(request.headers),
    }
    if request.json is not None:
        arguments["json"] = request.json
    if request.content is not None:
        arguments["content"] = request.content
    if request.form is not None:
        arguments["data"] = dict(request.form)
    if request.files:
        arguments["files"] = {
            name: (path.name, files.enter_context(path.open("rb")))
            for name, path in request.files.items()
        }
    return arguments
