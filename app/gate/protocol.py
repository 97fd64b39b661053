"""Uvicorn's HTTP/1.1 with a limit on the bytes that it buffers before the gate sees a request."""

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD = 64 * 1024
"""The most bytes of a request's line and headers, of its trailers, and of a chunk's extensions."""


class BoundedProtocol(HttpToolsProtocol):
    """Ends a connection that sends more than ``LONGEST_HEAD`` bytes without a whole head or any body.

    The parser itself has no limit: without this class, anyone who reaches the port could fill the
    memory before the gate sees a request.
    """

    _unfinished = 0
    """Bytes received since the last complete head or piece of a body."""

    def data_received(self, data: bytes) -> None:
        self._unfinished += len(data)
        super().data_received(data)
        if self._unfinished > LONGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_headers_complete(self) -> None:
        self._unfinished = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unfinished = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unfinished = 0
        super().on_message_complete()
