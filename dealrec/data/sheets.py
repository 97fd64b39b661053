"""Excel workbooks: the one sheet with a table in it."""

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dealrec.config.formats import FileFormat
from dealrec.config.wording import counted
from dealrec.data.archives import BROKEN
from dealrec.data.detection import file_error
from dealrec.data.headers import header_of, table_begins
from dealrec.data.limits import Limits
from dealrec.data.tables import BadRow, Batch, chosen, require_unique

_ROWS = 2**16
_CHUNK = 2**20
_CELL = re.compile(rb' r="([A-Z]{1,3})(\d{1,7})"')
_OVERLAP = 32
_SAMPLED = 200


class WorkbookReader:
    """Reads the rows of a sheet; numbers and dates become text."""

    def __init__(self, path: Path, name: str, limits: Limits, asked: FileFormat) -> None:
        self.name = name
        self.lists: Mapping[str, str | None] = {}
        _check_size(path, name, limits)
        self._sheet, self._first = _only_sheet(path, name, asked.sheet), asked.skip + 1
        found = list(islice(self._numbered(), _SAMPLED))
        if not asked.skip and asked.header is None and asked.names is None:
            above = (
                at for at in range(len(found)) if table_begins([r for _, r in found[: at + 1]])
            )
            self._first = found[next(above, 0)][0] if found else 1
        self.rows = [row for number, row in found if number >= self._first]
        if not self.rows:
            raise file_error(name, "empty_file", "The workbook has no rows.")
        self.headed, names = header_of(self.rows, asked)
        self.column_names = list(names)
        if len(names) > limits.columns:
            message = (
                f"The sheet has {len(names):,} columns; at most {limits.columns:,} are allowed."
            )
            raise file_error(name, "too_many_columns", message)

    def has(self, name: str) -> bool:
        """See :meth:`dealrec.data.tables.TableReader.has`."""
        return name in self.column_names

    def notes(self) -> list[str]:
        """See :meth:`dealrec.data.tables.TableReader.notes`."""
        above = self._first - 1
        return [f"skipped {counted(above, 'row')} above the table in the sheet"] if above else []

    def batches(self, columns: Sequence[str], *, others: bool = False) -> Iterator[Batch]:
        """Read text columns; see :meth:`dealrec.data.tables.TableReader.batches`."""
        require_unique(self.name, self.column_names, columns)
        places = {
            name: self.column_names.index(name)
            for name in chosen(self.column_names, columns, others=others)
        }
        rows = self._numbered()
        if self.headed:
            next(rows, None)
        while part := list(islice(rows, _ROWS)):
            good = [(number, row) for number, row in part if self._fits(row)]
            yield Batch(
                columns={
                    name: pa.array([_cell(row, at) for _, row in good], pa.string())
                    for name, at in places.items()
                },
                rows=np.array([number for number, _ in good], np.int64),
                bad=[
                    BadRow(n, None, "wrong_column_count") for n, row in part if not self._fits(row)
                ],
            )

    def _fits(self, row: list[str]) -> bool:
        return not any(row[len(self.column_names) :])

    def _numbered(self) -> Iterator[tuple[int, list[str]]]:
        """The rows that are not empty, each with its number in the sheet."""
        for number, row in enumerate(self._sheet.iter_rows(), 1):
            cells = [_text(value) for value in row]
            if any(cells) and number >= self._first:
                yield number, cells


def _cell(row: list[str], at: int) -> str | None:
    return (row[at] if at < len(row) else "") or None


def _text(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return str(value.total_seconds())
        case _:
            return str(value)


def _check_size(path: Path, name: str, limits: Limits) -> None:
    """Unpack the workbook once without keeping it: sizes in its directory may be wrong.

    The library makes a cell of every place up to the furthest one, so their number is bounded, too.
    """
    total = 0
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                area, end = _Area(), b""
                with archive.open(member) as file:
                    while chunk := file.read(_CHUNK):
                        total += len(chunk)
                        area.extend(end + chunk)
                        end = chunk[-_OVERLAP:]
                        if total > limits.workbook_bytes or area.cells > limits.sheet_cells:
                            raise file_error(
                                name,
                                "file_too_large",
                                f"The workbook has more than {limits.sheet_cells:,} cells or unpacks to more "
                                f"than {limits.workbook_bytes:,} bytes. Save the sheet as CSV UTF-8.",
                            )
    except BROKEN:
        raise file_error(name, "corrupt_stream", "The workbook is cut short or damaged.") from None


class _Area:
    """The smallest area that holds the cells of a sheet."""

    def __init__(self) -> None:
        self._columns = self._rows = 0

    @property
    def cells(self) -> int:
        return self._columns * self._rows

    def extend(self, text: bytes) -> None:
        places = set(_CELL.findall(text))
        if places:
            self._columns = max(self._columns, *(_column(letters) for letters, _ in places))
            self._rows = max(self._rows, *(int(row) for _, row in places))


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number


def _only_sheet(path: Path, name: str, asked: str | None) -> Any:
    """The one sheet that holds cells, or the one that is asked for."""
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError:
        raise file_error(
            name,
            "unsupported_format",
            "Excel workbooks are read with python-calamine, which is not installed: "
            "`pip install 'dealrec[excel]'`. Or save the sheet as CSV UTF-8.",
        ) from None
    try:
        workbook = CalamineWorkbook.from_path(str(path))
        sheets = [workbook.get_sheet_by_name(sheet) for sheet in workbook.sheet_names]
    except CalamineError:
        message = "The workbook cannot be read. Save the sheet as CSV UTF-8."
        raise file_error(name, "corrupt_stream", message) from None
    filled = [sheet for sheet in sheets if sheet.height and asked in (None, sheet.name)]
    named = ", ".join(f"`{sheet.name}`" for sheet in sheets[:8])
    if len(filled) > 1:
        raise file_error(
            name,
            "unsupported_format",
            f"The workbook has {len(filled)} sheets with content: {named}. Name the one with the "
            f"table, such as `--set data.format.sheet={filled[0].name}` (`item_format` for the items).",
        )
    if asked is not None and not filled:
        message = f"The workbook has no sheet `{asked}` with content. Its sheets are: {named}."
        raise file_error(name, "unsupported_format", message)
    if not filled:
        raise file_error(name, "empty_file", "The workbook has no rows.")
    return filled[0]
