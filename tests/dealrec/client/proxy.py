"""Between a client and the service: a way that loses connections and is busy now and then."""

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

REFUSED = "refused"
"""The connection ends before the service has seen the request."""
LOST = "lost"
"""The service has answered, and the answer does not arrive."""
CUT = "cut"
"""The answer ends in the middle."""
BUSY = "busy"
LIMITED = "limited"
FAULTS = (REFUSED, LOST, CUT, BUSY, LIMITED)
_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "host"}
_STATUSES = {BUSY: 503, LIMITED: 429}


class Proxy(ThreadingHTTPServer):
    """Hands every request to ``target``, or does to it what ``faults`` says next."""

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = httpx.Client(base_url=target, timeout=60)
        self.faults: Iterator[str | None] = iter(())
        self.seconds = 0.0
        """That every request waits before it is handed on."""
        self.done: Counter[str] = Counter()
        self.seen: list[tuple[str, str, httpx.Headers]] = []
        """Method, path and headers of all that the service was asked."""
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_fault(self) -> str | None:
        with self._lock:
            fault = next(self.faults, None)
        if fault is not None:
            self.done[fault] += 1
        return fault

    def handle_error(self, request, client_address) -> None:
        """Callers hang up: that is what this is for."""


@contextmanager
def proxied(target: str) -> Iterator[Proxy]:
    proxy = Proxy(target)
    thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        thread.join()
        proxy.server_close()
        proxy.upstream.close()


class _Handler(BaseHTTPRequestHandler):
    server: Proxy

    def _relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        time.sleep(self.server.seconds)
        fault = self.server.next_fault()
        if fault == REFUSED:
            self._hang_up()
            return
        if fault in _STATUSES:
            self.send_response(_STATUSES[fault])
            self.send_header("retry-after", "0")
            self.send_header("content-length", "0")
            self.end_headers()
            return
        headers = httpx.Headers({k: v for k, v in self.headers.items() if k.lower() not in _HOP})
        self.server.seen.append((self.command, self.path, headers))
        with self.server.upstream.stream(
            self.command, self.path, content=body, headers=headers
        ) as answer:
            if fault == LOST:
                answer.read()
                self._hang_up()
                return
            self._answer(answer, cut=fault == CUT)

    def _answer(self, answer: httpx.Response, *, cut: bool) -> None:
        self.send_response(answer.status_code)
        for name, value in answer.headers.multi_items():
            if name not in _HOP or name == "content-length":
                self.send_header(name, value)
        self.end_headers()
        sent, half = 0, int(answer.headers.get("content-length") or 1000) // 2
        for piece in answer.iter_raw():
            if cut and sent + len(piece) > half:
                self.wfile.write(piece[: half - sent])
                self.wfile.flush()
                self._hang_up()
                return
            self.wfile.write(piece)
            self.wfile.flush()
            sent += len(piece)

    def _hang_up(self) -> None:
        # With a reset instead of an end, as a machine that dies would do it.
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
        self.connection.close()

    do_GET = do_POST = do_PUT = do_DELETE = _relay  # noqa: N815

    def log_request(self, code="-", size="-") -> None:
        """Nothing is written."""
