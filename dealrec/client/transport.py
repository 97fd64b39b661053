"""One HTTP request as data, and the two ways to send it: blocking, and on an event loop.

Both transports have coroutine methods. Those of :class:`BlockingTransport` never suspend, so the
blocking client can run them without an event loop (:mod:`dealrec.client.binding`).
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    ExitStack,
    aclosing,
    asynccontextmanager,
    closing,
    contextmanager,
)
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
    """One request. It can be sent repeatedly, since its files are opened anew each time."""

    method: str
    path: str
    query: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    """Query parameters; those that are ``None`` are left out."""
    json: Any = None
    content: bytes | None = None
    form: Mapping[str, str] | None = None
    files: Sequence[tuple[str, str, Path]] = ()
    """The fields of files in the form, the names of the files, and their paths."""
    headers: Mapping[str, str] = field(default_factory=dict)
    silence: float = 0.0
    """The seconds that the service may need before it answers, where these can be more than
    :attr:`Server.timeout`."""


@dataclass(frozen=True)
class Reading:
    """An answer whose body arrives piece by piece. Read ``pieces`` or ``events``, not both."""

    response: httpx.Response
    pieces: AsyncIterator[bytes]
    """The body's bytes as they were sent, still in their content encoding."""
    events: AsyncIterator[ServerSentEvent]
    """The body as server-sent events."""


@dataclass(frozen=True)
class Server:
    """The address of the service, the API key, and how long and how often to try."""

    url: str
    key: str | None = field(default=None, repr=False)
    timeout: float = 120.0
    """The longest time without any data within one response, in seconds."""
    retries: int = 6
    """How often a request is repeated when no answer came or the server was busy."""

    def headers(self, agent: str) -> dict[str, str]:
        """The headers of every request."""
        authorization = {} if self.key is None else {"authorization": f"Bearer {self.key}"}
        return {"user-agent": agent, **authorization}

    def limits(self, silence: float = 0.0) -> httpx.Timeout:
        """The time limits of a request; one that is answered late may be silent for ``silence`` seconds."""
        read = max(self.timeout, silence)
        return httpx.Timeout(self.timeout, read=read, connect=_CONNECT_SECONDS)


class Transport(Protocol):
    """Sends requests.

    Every method that sends raises :class:`ApiError`: ``no_answer`` when no answer comes, and
    ``cannot_ask`` when the request cannot be sent at all.
    """

    server: Server

    async def send(self, request: Request) -> httpx.Response:
        """Return the whole answer, whatever its status."""

    def open(self, request: Request) -> AbstractAsyncContextManager[Reading]:
        """Give the answer as it arrives."""

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function that may block, such as hashing or writing to disk."""


class BlockingTransport:
    """Sends on the calling thread; its coroutines never suspend."""

    def __init__(self, server: Server, agent: str) -> None:
        self.server = server
        self._http = httpx.Client(
            base_url=server.url, headers=server.headers(agent), timeout=server.limits()
        )

    async def send(self, request: Request) -> httpx.Response:
        with _translated(self.server), ExitStack() as files:
            return self._http.send(_built(self._http, self.server, request, files))

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[Reading]:
        with (
            _translated(self.server),
            ExitStack() as files,
            closing(
                self._http.send(_built(self._http, self.server, request, files), stream=True)
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
        """Close the connections."""
        self._http.close()


class AsyncTransport:
    """Sends on the running event loop."""

    def __init__(self, server: Server, agent: str) -> None:
        self.server = server
        self._http = httpx.AsyncClient(
            base_url=server.url, headers=server.headers(agent), timeout=server.limits()
        )

    async def send(self, request: Request) -> httpx.Response:
        with _translated(self.server), ExitStack() as files:
            return await self._http.send(_built(self._http, self.server, request, files))

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[Reading]:
        with _translated(self.server), ExitStack() as files:
            built = _built(self._http, self.server, request, files)
            sent = await self._http.send(built, stream=True)
            async with aclosing(sent) as response:
                if not response.is_success:
                    await response.aread()
                events = EventSource(response).aiter_sse()
                yield Reading(response, response.aiter_raw(), events)

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    async def call(self, function: Callable[..., T], *arguments: Any) -> T:
        return await anyio.to_thread.run_sync(function, *arguments)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


@contextmanager
def _translated(server: Server) -> Iterator[None]:
    """Turn errors of :mod:`httpx` into :class:`ApiError`."""
    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        raise ApiError.cannot_ask(error) from None
    except httpx.TransportError as error:
        raise ApiError.no_answer(error, server.url) from error


def _built(
    http: httpx.Client | httpx.AsyncClient, server: Server, request: Request, files: ExitStack
) -> httpx.Request:
    """Build the request for :mod:`httpx`; ``files`` closes the files that it opens."""
    return http.build_request(
        request.method,
        request.path,
        params={name: value for name, value in request.query.items() if value is not None},
        headers=request.headers,
        json=request.json,
        content=request.content,
        data=request.form,
        files=[
            (field, (filename, files.enter_context(path.open("rb"))))
            for field, filename, path in request.files
        ],
        timeout=server.limits(request.silence),
    )
