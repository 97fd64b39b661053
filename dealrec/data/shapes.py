"""Tables whose rows are made from those of a file: missing values, the order of rows, lists in a cell."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.config import Column
from dealrec.config.formats import RowOrder
from dealrec.config.wording import counted
from dealrec.data.columns import FoundColumns
from dealrec.data.detection import file_error
from dealrec.data.histories import Histories, MindHistories, as_lists
from dealrec.data.readers import OpenedTable
from dealrec.data.tables import Batch, TableReader

ROW_ORDER = "(order of rows)"
"""The name of the column that numbers the rows of a file."""


def shaped(opened: OpenedTable, found: FoundColumns) -> tuple[TableReader, dict[Column, str]]:
    """The table of single interactions in a file, and our columns in it.

    Raises:
        InputError: ``list_column`` where a column that holds lists cannot be used.
    """
    table: TableReader = opened.table
    columns = dict(found.columns)
    asked = opened.format
    if asked.null_values:
        table = WithoutNulls(table, asked.null_values)
    separator = _list_separator(opened, columns[Column.ITEM_ID])
    if opened.layout is not None and opened.layout.clicks is not None:
        return MindHistories(table, columns, opened.layout.clicks).shaped()
    if separator.holds:
        return Histories(table, columns, separator.text).shaped()
    for column in (Column.USER_ID, Column.TIMESTAMP, Column.POSITION, Column.SPLIT):
        if column in columns and columns[column] in table.lists:
            raise file_error(
                table.name,
                "list_column",
                f"The column `{columns[column]}` holds lists, but the column of items does not.",
                "1",
                columns[column],
            )
    if asked.order is RowOrder.FILE:
        columns.pop(Column.TIMESTAMP, None)
        columns[Column.POSITION] = ROW_ORDER
        table = InFileOrder(table)
    return table, columns


def joined_titles(opened: OpenedTable, found: FoundColumns) -> TableReader:
    """The table of an items file; a title that is a list of words becomes a text."""
    table: TableReader = opened.table
    if opened.format.null_values:
        table = WithoutNulls(table, opened.format.null_values)
    lists = {
        name: table.lists[name]
        for name in found.columns.values()
        if table.lists.get(name, "") is None
    }
    if lists:
        table = JoinedLists(table, frozenset(lists))
    return table


@dataclass(frozen=True)
class _Lists:
    holds: bool
    text: str | None = None


def _list_separator(opened: OpenedTable, item: str) -> _Lists:
    if item in opened.table.lists:
        return _Lists(True, opened.table.lists[item])
    asked = opened.format.list_separator
    return _Lists(asked is not None, asked)


@dataclass
class WithoutNulls:
    """A table in which some words count as missing values."""

    table: TableReader
    words: tuple[str, ...]

    def __post_init__(self) -> None:
        self.name, self.lists = self.table.name, self.table.lists
        self.column_names = self.table.column_names
        self._nulled = 0

    def has(self, name: str) -> bool:
        """See :meth:`dealrec.data.tables.TableReader.has`."""
        return self.table.has(name)

    def notes(self) -> list[str]:
        """See :meth:`dealrec.data.tables.TableReader.notes`."""
        told = f"{counted(self._nulled, 'cell')} with a word for a missing value counted as empty"
        return [*self.table.notes(), *([told] if self._nulled else [])]

    def batches(self, columns: Sequence[str], *, others: bool = False) -> Iterator[Batch]:
        """See :meth:`dealrec.data.tables.TableReader.batches`."""
        self._nulled = 0
        for batch in self.table.batches(columns, others=others):
            cells = {name: self._without(column) for name, column in batch.columns.items()}
            yield Batch(cells, batch.rows, batch.bad)

    def _without(self, column: pa.Array) -> pa.Array:
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            return column
        words = pa.array(self.words, column.type)
        where = pc.is_in(pc.utf8_trim_whitespace(column), value_set=words)
        count = pc.sum(where).as_py() or 0
        self._nulled += count
        return pc.if_else(where, None, column) if count else column


@dataclass
class InFileOrder:
    """A table whose rows have their place in the file as a column."""

    table: TableReader

    def __post_init__(self) -> None:
        self.name, self.lists = self.table.name, self.table.lists
        self.column_names = [*self.table.column_names, ROW_ORDER]

    def has(self, name: str) -> bool:
        """See :meth:`dealrec.data.tables.TableReader.has`."""
        return name == ROW_ORDER or self.table.has(name)

    def notes(self) -> list[str]:
        """See :meth:`dealrec.data.tables.TableReader.notes`."""
        return [*self.table.notes(), "the order of the rows is used as the order in time"]

    def batches(self, columns: Sequence[str], *, others: bool = False) -> Iterator[Batch]:
        """See :meth:`dealrec.data.tables.TableReader.batches`."""
        first = 0
        inner = [name for name in columns if name != ROW_ORDER]
        for batch in self.table.batches(inner, others=others):
            count = len(batch.rows)
            places = pa.array(np.arange(first, first + count))
            yield Batch({**batch.columns, ROW_ORDER: places}, batch.rows, batch.bad)
            first += count


@dataclass
class JoinedLists:
    """A table in which the lists of some columns are texts, their values with spaces between."""

    table: TableReader
    joined: frozenset[str]

    def __post_init__(self) -> None:
        self.name, self.column_names = self.table.name, self.table.column_names
        self.lists = {name: s for name, s in self.table.lists.items() if name not in self.joined}

    def has(self, name: str) -> bool:
        """See :meth:`dealrec.data.tables.TableReader.has`."""
        return self.table.has(name)

    def notes(self) -> list[str]:
        """See :meth:`dealrec.data.tables.TableReader.notes`."""
        named = ", ".join(f"`{name}`" for name in sorted(self.joined))
        return [*self.table.notes(), f"{named} holds lists, whose values were joined with spaces"]

    def batches(self, columns: Sequence[str], *, others: bool = False) -> Iterator[Batch]:
        """See :meth:`dealrec.data.tables.TableReader.batches`."""
        for batch in self.table.batches(columns, others=others):
            cells = {
                name: pc.binary_join(as_lists(column, None).cast(pa.list_(pa.string())), " ")
                if name in self.joined
                else column
                for name, column in batch.columns.items()
            }
            yield Batch(cells, batch.rows, batch.bad)
