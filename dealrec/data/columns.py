"""The mapping of our column names to the columns of a file."""

import re
from collections.abc import Mapping

from dealrec.config.data import Column
from dealrec.data.detection import file_error
from dealrec.data.tables import TableReader
from dealrec.errors import InputError

INTERACTIONS = (
    Column.USER_ID,
    Column.ITEM_ID,
    Column.TIMESTAMP,
    Column.POSITION,
    Column.SPLIT,
    Column.RATING,
)
_PRESENTABLE = re.compile(r"[A-Za-z_][\w .:\-]{0,60}")


def interaction_columns(table: TableReader, columns: Mapping[Column, str]) -> dict[Column, str]:
    """Find our columns in a file of interactions.

    Args:
        table: The opened file.
        columns: Maps our names to the file's where they differ.

    Returns:
        The file's names of those of our columns that it has.

    Raises:
        InputError: ``missing_column`` when there is no user id, no item id, or neither a timestamp
            nor a position, or when ``columns`` names a column that the file does not have.
    """
    found: dict[Column, str] = {}
    for column in INTERACTIONS:
        name = columns.get(column, column.value)
        needed = column in columns or column in (Column.USER_ID, Column.ITEM_ID)
        if name in table.column_names or (needed and table.has(name)):
            found[column] = name
        elif needed:
            raise missing_column(table, name)
    if Column.TIMESTAMP not in found and Column.POSITION not in found:
        late = next((c for c in (Column.TIMESTAMP, Column.POSITION) if table.has(c)), None)
        if late is None:
            raise missing_column(table, "timestamp", "`timestamp` or `position`")
        found[late] = late.value
    return found


def item_columns(table: TableReader, columns: Mapping[Column, str]) -> dict[Column, str]:
    """Find ``item_id`` and ``title`` in an items file, as :func:`interaction_columns` does.

    ``columns`` may map ``item_id`` to a name that only the interactions have; our own name counts then.

    Raises:
        InputError: ``missing_column`` when one of the two is missing.
    """
    found: dict[Column, str] = {}
    for column in (Column.ITEM_ID, Column.TITLE):
        names = [columns.get(column, column.value), column.value]
        match = next((name for name in names if table.has(name)), None)
        if match is None:
            raise missing_column(table, names[0])
        found[column] = match
    return found


def missing_column(table: TableReader, name: str, shown: str | None = None) -> InputError:
    """Make the error that lists the file's columns, unless the first line looks like data."""
    detail = f"There is no column {shown or f'`{name}`'}."
    if all(_PRESENTABLE.fullmatch(column) for column in table.column_names[:20]):
        detail += f" The columns are: {', '.join(table.column_names[:20])}."
    return file_error(table.name, "missing_column", detail, "1", name)
