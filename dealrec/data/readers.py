"""One way to read every format: a table's columns, then its rows in batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dealrec.data.detection import Format, detect_format, file_error
from dealrec.data.limits import Limits
from dealrec.data.streams import UnpackedFile
from dealrec.progress import SILENT, Reporter

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used, and why: ``reason`` is a code of :mod:`dealrec.data.findings`."""

    row: int
    column: str | None
    reason: str


@dataclass(frozen=True)
class Batch:
    """``n`` rows: some columns, and where they stand in the file."""

    columns: dict[str, pa.Array]
    """Each [n]: text, except for Parquet's typed columns."""
    rows: Int64
    """[n] 1-based: the line of the file (the header is line 1); for Parquet, the row."""
    bad: list[BadRow]
    """Rows that are no rows (another number of cells, no JSON object); not among the ``n``."""


def is_name(name: str) -> bool:
    """Whether a column of this name can be kept: no NUL, no lone surrogate."""
    return "\x00" not in name and not any("\ud800" <= c <= "\udfff" for c in name)


class TableReader(Protocol):
    """A table in a file."""

    name: str
    column_names: list[str]
    """As the file has them; RecBole's without their ``:type``."""

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Rows in file order, with the named columns only; memory is bounded by the batch."""
        ...


def counted_batches(table: TableReader, columns: Sequence[str], limits: Limits) -> Iterator[Batch]:
    """The table's batches; raises :class:`InputError` (``file_too_large``) past ``limits.rows``."""
    rows = 0
    for batch in table.batches(columns):
        rows += len(batch.rows) + len(batch.bad)
        if rows > limits.rows:
            message = f"There are more than {limits.rows:,} rows."
            raise file_error(table.name, "file_too_large", message)
        yield batch


def open_table(
    path: Path, name: str, *, limits: Limits | None = None, reporter: Reporter = SILENT
) -> TableReader:
    """A reader for the file at ``path``, which people know as ``name``.

    Raises :class:`InputError` where the file is no table that can be read.
    """
    file = UnpackedFile(path, name, limits or Limits(), reporter)
    match detect_format(file.head, name):
        case Format.PARQUET:
            from dealrec.data.parquet import ParquetReader

            return ParquetReader(file)
        case Format.JSON_LINES:
            from dealrec.data.json_lines import JsonLinesReader

            return JsonLinesReader(file)
        case layout:
            from dealrec.data.delimited import DelimitedReader

            return DelimitedReader(file, layout)
