"""Local files that are read in pieces."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


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
