"""The files that were opened so far, for reports and refusals."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from dealrec.config import Column
from dealrec.data.findings import FileColumns
from dealrec.data.tables import TableReader, is_name
from dealrec.errors import InputError

_COLUMNS, _NAME_CHARACTERS = 100, 200


class SeenFiles:
    """The files that were opened so far."""

    def __init__(self) -> None:
        self.files: list[FileColumns] = []

    def opened(self, table: TableReader) -> None:
        """Note the columns of a file."""
        names = [name[:_NAME_CHARACTERS] for name in table.column_names if is_name(name)]
        columns = names[:_COLUMNS]
        self.files.append({"file": table.name, "columns": columns, "read": {}, "unused": []})

    def read(self, columns: Mapping[Column, str], *, texts: bool = False) -> None:
        """Note which columns of the last file are read, by our names; ``texts`` keeps the others, too."""
        file = self.files[-1]
        there = {ours.value: theirs for ours, theirs in columns.items()}
        file["read"] = {ours: theirs for ours, theirs in there.items() if theirs in file["columns"]}
        if not texts:
            file["unused"] = [name for name in file["columns"] if name not in columns.values()]

    @contextmanager
    def told(self) -> Iterator[None]:
        """Add the files as the member ``files`` to an :class:`InputError` of the block."""
        try:
            yield
        except InputError as error:
            if self.files:
                error.members["files"] = self.files
            raise
