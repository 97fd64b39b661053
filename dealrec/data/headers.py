"""The header of a table: whether a line is one, where it stands, and how it fits the rows below it."""

import re
from collections.abc import Sequence

from dealrec.config.formats import FileFormat
from dealrec.data.synonyms import KNOWN, plain

_NUMBER = re.compile(r"[+-]?(\d[\d.,]*|[.,]\d+)([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}([-/.]\d{1,4})?([T ].*)?|\d{8}T\d{6}Z?")
_IDENTIFIER = re.compile(r"[^\W\d][\w .:$\-/()]{0,60}")
_NAMES = KNOWN | {"userid", "itemid"}


def header_of(rows: Sequence[list[str]], asked: FileFormat) -> tuple[bool, tuple[str, ...]]:
    """Whether the first of some rows is a header, and the names of the columns."""
    known = asked.header is None and (
        names_columns(rows[0]) or is_header(rows[0], rows[1:], asked.names)
    )
    header = known if asked.header is None else asked.header
    if asked.names:
        return header, asked.names
    if header:
        return True, tuple(cell.strip() for cell in rows[0])
    return False, tuple(str(number) for number in range(1, max(map(len, rows)) + 1))


def table_begins(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the last of the first rows names columns, and those above it hold fewer cells and no names."""
    *above, last = rows
    if not above or sum(plain(cell) in _NAMES for cell in last) < 2 or not names_columns(last):
        return False
    filled = sum(bool(cell.strip()) for cell in last)
    return all(
        not names_columns(row) and sum(bool(cell.strip()) for cell in row) < filled for row in above
    )


def longer_names(cut: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """The names of columns where rows have a cell more than the header, or none.

    It is the last one where a separator ends each row, and the first one where rows are numbered, as R writes
    them.
    """
    header, rows = [cell.strip(' "') for cell in cut[0]], cut[1:]
    if not rows or any(len(row) != len(header) + 1 for row in rows):
        return ()
    if not any(row[-1].strip() for row in rows):
        return (*header, "")
    numbers = [row[0].strip(' "') for row in rows]
    if all(map(str.isdecimal, numbers)) and len({int(n) - at for at, n in enumerate(numbers)}) == 1:
        return ("", *header)
    return ()


def unseparated(lines: Sequence[str]) -> str:
    """What to do with lines of one cell each: the separator that they may have, in words."""
    first = lines[0].strip() if lines else ""
    if len(first) > 2 and first[0] == first[-1] == '"' and re.search("[,;\t|]", first):
        return (
            " Each line is one cell in quotes, so the table was written as CSV twice: "
            '`sed \'s/^"//; s/"$//; s/""/"/g\' FILE` repairs it.'
        )
    for mark in dict.fromkeys(re.findall(r"[^\w\s\"'.\-]", first)):
        if all(line.count(mark) == first.count(mark) for line in lines):
            return f" If `{mark}` separates the columns, use `--set data.format.separator={mark}`."
    return ""


def names_columns(cells: Sequence[str]) -> bool:
    """Whether a line holds a known name of a column, and no number."""
    return any(plain(cell) in _NAMES for cell in cells) and not any(
        _NUMBER.fullmatch(cell.strip()) for cell in cells
    )


def is_header(
    cells: Sequence[str], rows: Sequence[Sequence[str]], names: Sequence[str] | None = None
) -> bool:
    """Whether the first line names columns, by its difference from the lines below.

    With ``names``, which a person gives for lines that have none, it does only where the difference is plain.
    """
    if not all(_IDENTIFIER.fullmatch(cell.strip()) for cell in cells if cell.strip()):
        return False
    filled = [cell for cell in cells if cell.strip()]
    if not filled or len(set(filled)) < len(filled):
        return False
    if any(_is_value(cell) for cell in cells):
        return False
    for at in range(len(cells)):
        below = [row[at] for row in rows if len(row) == len(cells)]
        if below and sum(map(_is_value, below)) * 5 >= len(below) * 4:
            return True
    return not names and not any(cell in row for row in rows for cell in filled)


def _is_value(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell.strip()) or _DATE.fullmatch(cell.strip()))
