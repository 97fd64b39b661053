"""A server that takes messages, and that fails, hangs or redirects when it is told to."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG = -1


@dataclass
class Receiver:
    """``answers`` are given one after the other, and then ``otherwise``; ``HANG`` gives none."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    otherwise: Callable[[], int] = lambda: 204
    accepted: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    """Those of ``taken`` that were answered with success."""
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    """The headers, by names in lower case, and the body of every request, whatever it was answered."""
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.taken]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = self.rfile.read(length)
            if len(body) < length:  # the sender was killed in between: nothing was received
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.taken.append((headers, body))
            answer = receiver.answers.pop(0) if receiver.answers else receiver.otherwise()
            if answer == HANG:
                receiver.ended.wait(20)
                return
            if answer < 300:
                receiver.accepted.append((headers, body))
            self.send_response(answer)
            if answer in (301, 302, 307, 308):
                self.send_header("location", f"{receiver.url}/elsewhere")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
