"""Local files that are hashed, sent, or read in pieces."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dealrec.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

_PIECE_BYTES = 1024 * 1024


def local_file(path: str | Path) -> Path:
    """Return the path of an existing file; raises :class:`InputError` (``no_such_file``)."""
    found = Path(path).expanduser()
    if not found.is_file():
        raise InputError(f"{found} is not a file.", code="no_such_file", title="A file is missing")
    return found


def file_sha256(path: Path, advance: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file's content; ``advance`` gets the size of each piece in bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
            if advance is not None:
                advance(len(piece))
    return digest.hexdigest()


def read_range(path: Path, start: int, count: int) -> bytes:
    """Read up to ``count`` bytes from position ``start``."""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(count)


def read_parquet(content: bytes) -> "pa.Table":
    """Read the table in the ``content`` of a Parquet file.

    It uses neither a Python file object nor threads: Arrow's threads may still hold such an object
    when the program ends, and then abort it (apache/arrow#34314).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.read_table(pa.BufferReader(content), use_threads=False, pre_buffer=False)
