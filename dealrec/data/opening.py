"""Opens the files of a data set: finds format, layout, columns and the form of their cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from dealrec.config import Column, DataOptions
from dealrec.config.formats import FileFormat
from dealrec.config.layouts import layout_named
from dealrec.data.columns import FoundColumns, interaction_columns, item_columns
from dealrec.data.dates import ANY_FORM, CellForm, cell_form, writes_decimal_commas
from dealrec.data.limits import Limits
from dealrec.data.many import Part, open_parts
from dealrec.data.readers import OpenedTable
from dealrec.data.recognition import INTERACTIONS, ITEMS
from dealrec.data.seen import SeenFiles
from dealrec.data.shapes import joined_titles, shaped
from dealrec.data.tables import TableReader
from dealrec.data.values import as_text
from dealrec.progress import SILENT, Reporter

_SAMPLED = 50_000
_DISTINCT = 5_000
_FORMED = (Column.TIMESTAMP, Column.POSITION, Column.RATING)
"""The columns of numbers and dates."""


@dataclass(frozen=True)
class SourceTable:
    """A file as a table of single rows, and where our columns are in it."""

    table: TableReader
    columns: dict[Column, str]
    forms: Mapping[Column, CellForm]
    """How the cells of columns of numbers and dates are written."""
    files: tuple[str, ...]
    """The names of the files, by which the numbers of rows name them."""
    _opened: OpenedTable
    _found: FoundColumns

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.table.name

    def said(self) -> list[str]:
        """What was found about the file, in words; after reading also what the reading found."""
        forms = [told for form in self.forms.values() for told in form.told()]
        notes = [*self._opened.notes(), *self.table.notes()]
        return list(dict.fromkeys([*self._opened.said, *self._found.said, *forms, *notes]))


def open_interactions(
    parts: Sequence[Part],
    options: DataOptions,
    *,
    limits: Limits,
    reporter: Reporter = SILENT,
    seen: SeenFiles | None = None,
) -> SourceTable:
    """Open the files of interactions as one table.

    Raises:
        InputError: It cannot be read, or the columns are not clear.
    """
    opened = _open(parts, options, INTERACTIONS, limits, reporter, seen)
    found = interaction_columns(opened, options.columns)
    table, columns = shaped(opened, found)
    forms = _forms(opened, table, columns)
    return SourceTable(table, columns, forms, tuple(p.name for p in parts), opened, found)


def open_items(
    parts: Sequence[Part],
    options: DataOptions,
    used: Mapping[Column, str],
    *,
    limits: Limits,
    reporter: Reporter = SILENT,
    seen: SeenFiles | None = None,
) -> SourceTable:
    """Open the files of items as one table; ``used`` are the columns of the interactions.

    Raises:
        InputError: It cannot be read, or the columns are not clear.
    """
    opened = _open(parts, options, ITEMS, limits, reporter, seen)
    found = item_columns(opened, options.item_columns, options.columns, used)
    table = joined_titles(opened, found)
    return SourceTable(table, found.columns, {}, tuple(p.name for p in parts), opened, found)


def _open(
    parts: Sequence[Part],
    options: DataOptions,
    role: str,
    limits: Limits,
    reporter: Reporter,
    seen: SeenFiles | None,
) -> OpenedTable:
    opened = open_parts(
        parts,
        asked=options.format if role == INTERACTIONS else options.item_format,
        layout=None if options.layout is None else layout_named(options.layout),
        role=role,
        limits=limits,
        reporter=reporter,
    )
    if seen is not None:
        seen.opened(opened.table)
    return opened


def _forms(
    opened: OpenedTable, table: TableReader, columns: Mapping[Column, str]
) -> dict[Column, CellForm]:
    """Look at the first cells of the columns of numbers and dates."""
    wanted = {column: columns[column] for column in _FORMED if column in columns}
    written = {column: name for column, name in wanted.items() if name in opened.table.column_names}
    first = (
        next(opened.table.batches(list(dict.fromkeys(written.values()))), None) if written else None
    )
    if first is None:
        return {}
    return {
        column: _form(
            table.name, first.columns[name], opened.format, dates=column is Column.TIMESTAMP
        )
        for column, name in written.items()
    }


def _form(name: str, cells: pa.Array, asked: FileFormat, *, dates: bool) -> CellForm:
    if pa.types.is_nested(cells.type):
        cells = cells.slice(0, _SAMPLED).flatten()
    text = as_text(cells.slice(0, _SAMPLED)) if not pa.types.is_temporal(cells.type) else None
    if text is None or not (pa.types.is_string(text.type) or pa.types.is_large_string(text.type)):
        return ANY_FORM
    values = text.unique().to_pylist()[:_DISTINCT]
    if asked.null_values:
        values = [value for value in values if value not in asked.null_values]
    if dates:
        return cell_form(name, values, asked)
    return CellForm(decimal_comma=writes_decimal_commas(values, asked))
