"""Lists in the cells of delimited text: which columns hold them, and what separates their values."""

import re
from collections.abc import Sequence
from operator import eq

from dealrec.data.synonyms import history_candidates

_SEPARATORS = (",", "|", ";", "\t", "->", "=>", " ")
"""What may separate the values; one that comes first wins, for texts hold spaces."""
_BRACKETS = re.compile(r"\s*(?:array|list|tuple|set)?(\[.*\]|\{.*\}|\(.*\))\s*", re.DOTALL)
_ALIKE = 0.9
"""The share of rows in which a column beside a history has as many parts as the history."""


def list_columns(
    names: Sequence[str], rows: Sequence[Sequence[str]], asked: str | None
) -> dict[str, str | None]:
    """The columns that hold lists, and what separates the values in each.

    These are columns whose cells stand in brackets, columns whose name says that they hold histories and
    whose cells have several parts, and beside such a history the columns with as many parts in each row.

    Args:
        names: The names of the columns.
        rows: The first rows.
        asked: The separator, if it is known.
    """
    rows = [row for row in rows if len(row) == len(names)]
    cells = {name: [row[at] for row in rows] for at, name in enumerate(names)}
    found = {
        name: separator
        for name, column in cells.items()
        if (separator := _separator(column, asked, named=bool(history_candidates([name]))))
    }
    for history in [name for name in found if history_candidates([name])]:
        lengths = [_parts(cell, found[history]) for cell in cells[history]]
        for name, column in cells.items():
            parts = [_parts(cell, found[history]) for cell in column]
            alike = sum(map(eq, parts, lengths))
            if name not in found and max(parts) > 1 and alike >= _ALIKE * len(lengths):
                found[name] = found[history]
    return dict(found)


def _separator(cells: Sequence[str], asked: str | None, *, named: bool) -> str | None:
    filled = [cell for cell in cells if cell.strip()]
    bracketed = bool(filled) and all(map(_BRACKETS.fullmatch, filled))
    if not bracketed and not named:
        return None
    for separator in _SEPARATORS if asked is None else (asked,):
        several = sum(_parts(cell, separator) > 1 for cell in filled)
        if several and several * 2 >= len(filled):
            return separator
    return "," if bracketed else None


def _parts(cell: str, separator: str) -> int:
    parts = cell.strip(" []{}()").split(None if separator == " " else separator)
    return len([part for part in parts if part.strip()])
