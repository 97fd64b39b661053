"""Quotes in delimited text: which line ends they enclose, and the cells that they wrap."""

import re
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.data.tables import Int64

_NEWLINE, _QUOTE = 10, 34
_HIDDEN = "\x00\x02"
"""Stands for a separator inside quotes; the text of a file never holds these characters."""


@cache
def _boundary(separator: bytes) -> npt.NDArray[np.bool_]:
    """[256] whether a byte may stand before a quote that opens, and after one that closes."""
    return np.isin(np.arange(256), (_NEWLINE, _QUOTE, *separator))


@cache
def _cell(separator: bytes) -> re.Pattern[bytes]:
    """A cell that begins with a quote, line ends included."""
    return re.compile(rb'(?:(?<=[\n%b])|\A)"(?:[^"]|"")*+("|\Z)' % re.escape(separator))


@cache
def _whole_cell(separator: bytes) -> re.Pattern[bytes]:
    """A cell of a line that quotes enclose as a whole."""
    mark = re.escape(separator)
    return re.compile(rb'(?:(?<=%b)|\A)"(?:[^"]|"")*+"(?=%b|\Z)' % (mark, mark))


class UnclosedQuote(Exception):
    """A quote opens a cell, and no quote closes it."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at
        """The position of the quote in the block."""


def record_ends(block: bytes, *, whole: bool, separator: bytes = b",") -> Int64:
    """Find the line ends of text that lie outside of quoted cells.

    A quote opens a cell only at the cell's start. A cell that spans lines must end right after the
    quote that closes it: if text follows, a quote was left open in an earlier line.

    Args:
        block: Text that begins with a record.
        whole: Whether nothing comes after the block.
        separator: The byte between cells.

    Returns:
        [n] positions of record ends.

    Raises:
        UnclosedQuote: A quote is not closed; the next one may still come where ``whole`` is false.
    """
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == _NEWLINE)
    if b'"' not in block:
        return ends
    marks = _marks(block, data, separator)
    opened, closed = marks[::2], marks[1::2]
    last = len(closed) - (len(closed) > 0 and closed[-1] == len(block) - 1)
    astray = ~_boundary(separator)[data[closed[:last] + 1]]
    if astray.any():
        at = np.flatnonzero(astray)
        begun = _cell_starts(opened, closed)[at]
        spanning = np.searchsorted(ends, begun) < np.searchsorted(ends, closed[at])
        if spanning.any():
            raise UnclosedQuote(int(begun[spanning.argmax()]))
    if whole and len(opened) > len(closed):
        raise UnclosedQuote(int(_cell_starts(opened, closed)[-1]))
    outside: Int64 = ends[np.searchsorted(marks, ends) % 2 == 0]
    return outside


def _marks(block: bytes, data: npt.NDArray[np.uint8], separator: bytes) -> Int64:
    """Find the quotes that open and close, in turns; an escaped quote closes and opens again.

    If every odd quote of the block stands at the start of a cell, or right after another quote (an
    escaped one), these are all quotes. A title such as ``5" disc`` breaks that rule, and then the
    quoted cells are searched one by one.
    """
    quotes = np.flatnonzero(data == _QUOTE)
    begins = _boundary(separator)[data[quotes[::2] - 1]]
    begins[0] |= quotes[0] == 0
    if begins.all():
        return quotes
    found = list(_cell(separator).finditer(block))
    marks = [at for cell in found for at in (cell.start(), cell.end() - 1)]
    return np.array(marks if not found or found[-1][1] else marks[:-1], np.int64)


def _cell_starts(opened: Int64, closed: Int64) -> Int64:
    """[n] where the cell begins that each of ``opened`` opens, or goes on with after an escape."""
    cells = np.arange(len(opened))
    cells[1:][opened[1:] == closed[: len(opened) - 1] + 1] = 0
    starts: Int64 = opened[np.maximum.accumulate(cells)]
    return starts


def hide_separators(block: bytes, columns: int, separator: bytes) -> bytes:
    """Hide separators inside quotes in those lines of a text that have too many cells.

    Where every separator separates cells, the line stays as it is. :func:`unquoted` brings them back.
    """
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == _NEWLINE)
    starts = np.concatenate([[0], ends[:-1] + 1])
    cuts, quotes = np.flatnonzero(data == separator[0]), np.flatnonzero(data == _QUOTE)
    wide = np.searchsorted(cuts, ends) - np.searchsorted(cuts, starts) >= columns
    wide &= np.searchsorted(quotes, ends) > np.searchsorted(quotes, starts)
    if not wide.any():
        return block
    hidden, cell, pieces, done = _HIDDEN.encode(), _whole_cell(separator), [], 0
    for start, end in zip(starts[wide], ends[wide], strict=True):
        line = cell.sub(lambda cell: cell[0].replace(separator, hidden), block[start:end])
        if line.count(separator) == columns - 1:
            pieces += [block[done:start], line]
            done = end
    return b"".join([*pieces, block[done:]])


def unquoted(cells: pa.Array, separator: str) -> pa.Array:
    """Take the quotes off cells that they enclose as a whole; others stay as they are written."""
    quoted = pc.match_substring_regex(cells, r'(?s)^"(?:[^"]|"")*"$')
    text = pc.utf8_slice_codeunits(cells, 1, -1)
    text = pc.replace_substring(text, '""', '"')
    return pc.if_else(quoted, pc.replace_substring(text, _HIDDEN, separator), cells)
