"""Connections that send without end before anybody is asked, against a real server."""

import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn

from dealrec.app.gate.protocol import LONGEST_HEAD, BoundedProtocol
from tests.worker.processes import until


async def answer(scope, receive, send):
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    config = uvicorn.Config(
        answer, host="127.0.0.1", port=0, http=BoundedProtocol, lifespan="off", log_level="error"
    )
    server, listening = uvicorn.Server(config), config.bind_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    until(lambda: server.started, 30)
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join()


def sent(port: int, first: bytes, piece: bytes) -> tuple[bytes, int]:
    """The answer to ``first`` and then ``piece`` again and again; the bytes taken until it came."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        taken = 0
        try:
            connection.sendall(first)
            while taken < 64 * 2**20:
                connection.sendall(piece)
                taken += len(piece)
        except OSError:
            pass
        try:
            return connection.recv(4096), taken
        except ConnectionError:
            return b"", taken


ENDLESS = {
    "one header": (b"GET / HTTP/1.1\r\nhost: x\r\na: ", b"b" * 16384),
    "many headers": (b"GET / HTTP/1.1\r\nhost: x\r\n", b"a: b\r\n" * 2000),
    "a path": (b"GET /", b"a" * 16384),
    "a chunk's extension": (
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1;",
        b"a" * 16384,
    ),
    "trailers": (
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
        b"a: b\r\n" * 2000,
    ),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_has_no_end_is_cut_off(port: int, name: str) -> None:
    status, taken = sent(port, *ENDLESS[name])
    assert status[:12] in (b"HTTP/1.1 400", b"")
    assert taken < 16 * 2**20  # most of it never left the sockets' buffers


def test_requests_that_end_are_answered_one_after_another(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\na: %s\r\n\r\n"
    long = head % (4 * LONGEST_HEAD, b"b" * (LONGEST_HEAD // 2)) + b"c" * 4 * LONGEST_HEAD
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        for _ in range(4):
            connection.sendall(long)
            assert connection.recv(4096).startswith(b"HTTP/1.1 204")
