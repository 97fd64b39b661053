"""The hash of a request's body, computed while the body streams."""

import hashlib
from email.message import Message


class BodyHash:
    """The SHA-256 of a body. A form's boundary is left out, because clients change it each time."""

    def __init__(self, content_type: str) -> None:
        self._hash = hashlib.sha256()
        self._boundary = _boundary(content_type)
        self._rest = b""

    def update(self, chunk: bytes) -> None:
        """Add the next bytes, cut anywhere."""
        if not self._boundary:
            self._hash.update(chunk)
            return
        data = (self._rest + chunk).replace(self._boundary, b"")
        # The last bytes may be the beginning of a boundary.
        keep = min(len(data), len(self._boundary) - 1)
        self._hash.update(data[: len(data) - keep])
        self._rest = data[len(data) - keep :]

    def hexdigest(self) -> str:
        """Return the hash of all bytes so far."""
        found = self._hash.copy()
        found.update(self._rest)
        return found.hexdigest()


def _boundary(content_type: str) -> bytes:
    message = Message()
    message["content-type"] = content_type
    if message.get_content_maintype() != "multipart":
        return b""
    boundary = message.get_param("boundary", "")
    return boundary.encode("latin-1", "replace") if isinstance(boundary, str) else b""
