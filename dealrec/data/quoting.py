"""Quotes in delimited text: which line ends they enclose, and the cells that they wrap."""

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.data.tables import Int64

_NEWLINE, _QUOTE, _COMMA, _TAB = 10, 34, 44, 9
_BOUNDARY = np.isin(np.arange(256), (_NEWLINE, _QUOTE, _COMMA))
"""Whether a byte may stand before a quote that opens, and after one that closes."""
_CELL = re.compile(rb'(?:(?<=[\n,])|\A)"(?:[^"]|"")*+("|\Z)')
"""A cell of a comma-separated file that begins with a quote."""
_TAB_CELL = re.compile(rb'(?:(?<=\t)|\A)"(?:[^"]|"")*+"(?=\t|\Z)')
"""A cell of a tab-separated line that quotes enclose as a whole."""
_TAB_IN_CELL = "\x00"
"""Stands for a tab inside quotes; the text of a file never holds this character."""


class UnclosedQuote(Exception):
    """A quote opens a cell, and no quote closes it."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at
        """The position of the quote in the block."""


def record_ends(block: bytes, *, whole: bool) -> Int64:
    """Find the line ends of comma-separated text that lie outside of quoted cells.

    A quote opens a cell only at the cell's start. A cell that spans lines must end right after the
    quote that closes it: if text follows, a quote was left open in an earlier line.

    Args:
        block: Text that begins with a record.
        whole: Whether nothing comes after the block.

    Returns:
        [n] positions of record ends.

    Raises:
        UnclosedQuote: A quote is not closed; the next one may still come where ``whole`` is false.
    """
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == _NEWLINE)
    if b'"' not in block:
        return ends
    marks = _marks(block, data)
    opened, closed = marks[::2], marks[1::2]
    last = len(closed) - (len(closed) > 0 and closed[-1] == len(block) - 1)
    astray = ~_BOUNDARY[data[closed[:last] + 1]]
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


def _marks(block: bytes, data: npt.NDArray[np.uint8]) -> Int64:
    """Find the quotes that open and close, in turns; an escaped quote closes and opens again.

    If every odd quote of the block stands at the start of a cell, or right after another quote (an
    escaped one), these are all quotes. A title such as ``5" disc`` breaks that rule, and then the
    quoted cells are searched one by one.
    """
    quotes = np.flatnonzero(data == _QUOTE)
    begins = _BOUNDARY[data[quotes[::2] - 1]]
    begins[0] |= quotes[0] == 0
    if begins.all():
        return quotes
    found = list(_CELL.finditer(block))
    marks = [at for cell in found for at in (cell.start(), cell.end() - 1)]
    return np.array(marks if not found or found[-1][1] else marks[:-1], np.int64)


def _cell_starts(opened: Int64, closed: Int64) -> Int64:
    """[n] where the cell begins that each of ``opened`` opens, or goes on with after an escape."""
    cells = np.arange(len(opened))
    cells[1:][opened[1:] == closed[: len(opened) - 1] + 1] = 0
    starts: Int64 = opened[np.maximum.accumulate(cells)]
    return starts


def hide_tabs(block: bytes, columns: int) -> bytes:
    """Hide tabs inside quotes in those lines of tab-separated text that have too many cells.

    Where every tab separates cells, the line stays as it is. :func:`unquoted` brings the tabs back.
    """
    data = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(data == _NEWLINE)
    starts = np.concatenate([[0], ends[:-1] + 1])
    tabs, quotes = np.flatnonzero(data == _TAB), np.flatnonzero(data == _QUOTE)
    wide = np.searchsorted(tabs, ends) - np.searchsorted(tabs, starts) >= columns
    wide &= np.searchsorted(quotes, ends) > np.searchsorted(quotes, starts)
    if not wide.any():
        return block
    changed = bytearray(block)
    for start, end in zip(starts[wide], ends[wide], strict=True):
        line = _TAB_CELL.sub(lambda cell: cell[0].replace(b"\t", b"\0"), block[start:end])
        if line.count(b"\t") == columns - 1:
            changed[start:end] = line
    return bytes(changed)


def unquoted(cells: pa.Array) -> pa.Array:
    """Take the quotes off cells that they enclose as a whole; others stay as they are written."""
    quoted = pc.match_substring_regex(cells, r'(?s)^"(?:[^"]|"")*"$')
    text = pc.utf8_slice_codeunits(cells, 1, -1)
    text = pc.replace_substring(text, '""', '"')
    return pc.if_else(quoted, pc.replace_substring(text, _TAB_IN_CELL, "\t"), cells)
