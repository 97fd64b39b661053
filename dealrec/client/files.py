"""Local files: what is sent, hashed and read in pieces."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from dealrec.errors import InputError

_PIECE_BYTES = 1024 * 1024


def local_file(path: str | Path) -> Path:
    """The file at ``path``; raises :class:`InputError` (``no_such_file``)."""
    found = Path(path).expanduser()
    if not found.is_file():
        raise InputError(f"{found} is no file.", code="no_such_file", title="A file is missing")
    return found


def file_sha256(path: Path, advance: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file's content; ``advance`` is told how many more bytes are read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
            if advance is not None:
                advance(len(piece))
    return digest.hexdigest()


def read_range(path: Path, start: int, count: int) -> bytes:
    """Up to ``count`` bytes from ``start`` on."""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(count)
