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

    It uses neither a Python file object nor threads: Arrow's threads may still run, or hold such an
    object, when the program ends, and then abort it (apache/arrow#34314). ``pq.read_table`` scans a
    data set, for which it starts a thread of its own whatever it is told.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    return pq.ParquetFile(pa.BufferReader(content), pre_buffer=False).read(use_threads=False)
