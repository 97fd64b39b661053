"""A table in a file, whatever its format: its columns, then its rows in batches."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dealrec.data.detection import file_error
from dealrec.data.limits import Limits

Int64 = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


ROWS_OF_A_FILE = 2**40
"""Where a table has several files, the number of a row is that in its file, plus this times the number of
the file from 0."""


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used; ``reason`` is a code of :mod:`dealrec.data.findings`."""

    row: int
    column: str | None
    reason: str


@dataclass(frozen=True)
class Batch:
    """``n`` rows of some columns, with their places in the file."""

    columns: dict[str, pa.Array]
    """The cells of each column, [n]; all text, except that Parquet columns keep their types."""
    rows: Int64
    """[n] line in the file, where the header is line 1; in Parquet the number of the row from 1."""
    bad: list[BadRow]
    """Lines that could not be read as a row: a wrong number of cells, or no JSON object. They are
    not among the ``n`` rows."""


def is_name(name: str) -> bool:
    """Whether a column of this name can be kept: it has no NUL and no lone surrogate."""
    return "\x00" not in name and not any("\ud800" <= c <= "\udfff" for c in name)


class TableReader(Protocol):
    """A table in a file."""

    name: str
    column_names: list[str]
    """The names as the file has them; those of RecBole files lose their ``:type``, and those of JSON
    Lines are the names in the first 64 KiB."""

    @property
    def lists(self) -> Mapping[str, str | None]:
        """The columns whose cells hold several values.

        The value is what separates these in text, ``None`` where the cells are lists.
        """
        ...

    def has(self, name: str) -> bool:
        """Whether there is such a column; JSON Lines are searched to the end for it."""
        ...

    def batches(self, columns: Sequence[str], *, others: bool = False) -> Iterator[Batch]:
        """Read the named columns in file order; no more than a batch is held in memory.

        With ``others``, read every other column of text as well. A cell of it that holds neither text
        nor a number is null, and never a reason to reject its row. Columns of lists are left out then.
        """
        ...

    def notes(self) -> list[str]:
        """What the last reading did to the file beside reading it, in words."""
        ...


def require_unique(file: str, names: Sequence[str], wanted: Sequence[str]) -> None:
    """Check that each wanted column is the only one of its name.

    Raises:
        InputError: ``duplicate_column``.
    """
    for name in wanted:
        places = [str(at) for at, other in enumerate(names, 1) if other == name]
        if len(places) > 1:
            raise file_error(
                file,
                "duplicate_column",
                f"Two columns have the same name `{name}`: columns {' and '.join(places)}. Rename one of "
                "them, or give names by position with `--set data.format.names=…`.",
            )


def chosen(names: Sequence[str], columns: Sequence[str], *, others: bool) -> list[str]:
    """The named columns and, with ``others``, the further ones of ``names`` that have a name."""
    unique = [name for name in names if name and names.count(name) == 1] if others else []
    return [*columns, *(name for name in unique if name not in columns)]


def counted_batches(
    table: TableReader, columns: Sequence[str], limits: Limits, *, others: bool = False
) -> Iterator[Batch]:
    """Read the table's batches, as :meth:`TableReader.batches` does, and count their rows.

    Raises:
        InputError: ``file_too_large`` when there are more than ``limits.rows`` rows.
    """
    rows = 0
    for batch in table.batches(columns, others=others):
        rows += len(batch.rows) + len(batch.bad)
        if rows > limits.rows:
            message = f"The table has more than {limits.rows:,} rows, which is the limit."
            raise file_error(table.name, "file_too_large", message)
        yield batch
