"""A table whose columns have other names than in its file, so that it fits beside other files."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from dealrec.data.tables import BadRow, Batch, TableReader


class RenamedTable:
    """A table with new names for some columns; a column that has one of these otherwise is left out."""

    def __init__(self, table: TableReader, renamed: Mapping[str, str]) -> None:
        self.name = table.name
        self._table = table
        new = {one for own, one in renamed.items() if own in table.column_names}
        self._own = {
            renamed.get(own, own): own
            for own in table.column_names
            if own in renamed or own not in new
        }
        self.column_names = list(self._own)
        self.lists = {renamed.get(own, own): s for own, s in table.lists.items()}

    def has(self, name: str) -> bool:
        """See :meth:`dealrec.data.tables.TableReader.has`."""
        return name in self._own or self._table.has(name)

    def notes(self) -> list[str]:
        """See :meth:`dealrec.data.tables.TableReader.notes`."""
        return self._table.notes()

    def batches(self, columns: Sequence[str], *, others: bool = False) -> Iterator[Batch]:
        """See :meth:`dealrec.data.tables.TableReader.batches`."""
        new = {own: name for name, own in self._own.items()}
        wanted = [self._own.get(name, name) for name in columns]
        for batch in self._table.batches(wanted, others=others):
            cells: dict[str, pa.Array] = {
                new.get(own, own): column
                for own, column in batch.columns.items()
                if own in new or own not in self._own
            }
            bad = [
                BadRow(row.row, row.column and new.get(row.column, row.column), row.reason)
                for row in batch.bad
            ]
            yield Batch(cells, batch.rows, bad)
