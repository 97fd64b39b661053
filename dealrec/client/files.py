"""Local files: what is sent, hashed and read in pieces."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dealrec.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

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


def read_parquet(content: bytes) -> "pa.Table":
    """The table in a Parquet file's ``content``.

    Neither a Python file nor threads for it: Arrow's threads may still hold such a file when the
    program ends, and abort it then (apache/arrow#34314).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(content), use_threads=False, pre_buffer=False)
