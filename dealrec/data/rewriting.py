"""Rewrites the text of unusual dialects into one that the parser knows; line ends stay where they are."""

import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from dealrec.config.formats import Escape, Quote
from dealrec.data.dialects import Dialect
from dealrec.data.quoting import hide_separators, unquoted

_STAND_INS = tuple(bytes([code]) for code in (*range(0x1C, 0x20), *range(2, 9), *range(14, 28)))
"""Characters for separators of several bytes; one is taken that the text does not hold."""
_SWAP = bytes.maketrans(b"\"'", b"'\"")
_BACKSLASHES = b"\x00\x03"
_MARK = "\x00\x04"
_LONG = 32 * 2**20
_QUOTED = rb'"(?:[^"]|"")*"'


class NoStandIn(Exception):
    """The text holds every control character, so none can stand for its separator."""


class Rewriter:
    """What has to be done to the text of a dialect before, and to its cells after, it is parsed."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._separator = dialect.separator.encode()
        self.comments = 0
        """Lines that the last reading left out because they begin as comments do."""

    def chunks(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Text without comments, whose cells are in double quotes, with doubled quotes inside."""
        dialect = self._dialect
        if dialect.skipped or dialect.comment:
            chunks = self._without_comments(_whole_lines(chunks))
        if dialect.separator == " ":
            chunks = map(_single_spaces, _whole_lines(chunks))
        if dialect.quote is Quote.SINGLE:
            chunks = (chunk.translate(_SWAP) for chunk in chunks)
        return _doubled(chunks) if dialect.escape is Escape.BACKSLASH else chunks

    def block(self, block: bytes, columns: int) -> tuple[bytes, bytes]:
        """Whole records with a separator of one byte, and that separator.

        Raises:
            NoStandIn: There is no character for it.
        """
        separator = self._separator
        if self._dialect.trim:
            pattern = rb"(?m)%b| *%b *|^ +| +$" % (_QUOTED, re.escape(separator))
            block = re.sub(
                pattern, lambda hit: hit[0] if hit[0][:1] == b'"' else hit[0].strip(b" "), block
            )
        if self._dialect.rest and columns > 0:
            stand_in = _stand_in(block)
            lines = block.split(b"\n")
            block = b"\n".join(stand_in.join(line.split(separator, columns - 1)) for line in lines)
            separator = stand_in
        elif len(separator) > 1:
            stand_in = _stand_in(block)
            block, separator = block.replace(separator, stand_in), stand_in
        if self._hides(block) and columns > 0:
            block = hide_separators(block, columns, separator)
        return block, separator

    def cells(self, cells: pa.Array, block: bytes, separator: bytes) -> pa.Array:
        """The cells as they were meant."""
        if self._hides(block):
            cells = unquoted(cells, separator.decode())
        if self._dialect.quote is Quote.SINGLE and (b"'" in block or b'"' in block):
            for mark, other in (('"', _MARK), ("'", '"'), (_MARK, "'")):
                cells = pc.replace_substring(cells, mark, other)
        return cells

    def _hides(self, block: bytes) -> bool:
        loose = not self._dialect.strict and self._dialect.quote is not Quote.NONE
        return loose and b'"' in block

    def _without_comments(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """Empty the lines before the table, and those that begin as comments do."""
        comment, left = self._dialect.comment, self._dialect.skipped
        pattern = (
            re.compile(rb"(?m)^" + re.escape(comment.encode()) + rb"[^\n]*") if comment else None
        )
        self.comments = 0
        for lines in blocks:
            block = lines
            if left:
                *before, after = block.split(b"\n", left)
                left -= len(before)
                block = b"\n" * len(before) + (b"" if left else after)
            if pattern is not None:
                block, found = pattern.subn(b"", block)
                self.comments += found
            yield block


def _whole_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Cut the text at line ends; a line that is far too long is passed on, so that the reader says so."""
    rest = b""
    for chunk in chunks:
        text = rest + chunk
        cut = text.rfind(b"\n") + 1 or (len(text) if len(text) > _LONG else 0)
        rest = text[cut:]
        if cut:
            yield text[:cut]
    if rest:
        yield rest


def _single_spaces(text: bytes) -> bytes:
    return re.sub(rb"(?m)^ +| +$", b"", re.sub(rb" {2,}", b" ", text))


def _doubled(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Double the quotes that stand after a backslash, and take away that of a backslash."""
    rest = b""
    for chunk in chunks:
        text = rest + chunk
        cut = len(text.rstrip(b"\\"))
        text, rest = text[:cut], text[cut:]
        yield _doubled_quotes(text)
    yield _doubled_quotes(rest)


def _doubled_quotes(text: bytes) -> bytes:
    if b"\\" not in text:
        return text
    text = text.replace(b"\\\\", _BACKSLASHES).replace(b'\\"', b'""')
    return text.replace(_BACKSLASHES, b"\\")


def _stand_in(block: bytes) -> bytes:
    for character in _STAND_INS:
        if character not in block:
            return character
    raise NoStandIn
