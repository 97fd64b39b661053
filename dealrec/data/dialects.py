"""The dialect of delimited text: separator, quotes, comments and header, by the first lines of a file."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from dealrec.config.formats import SEPARATOR_NAMES, SEPARATORS, Escape, FileFormat, Quote
from dealrec.data.synonyms import KNOWN, plain

_LINES = 200
"""Lines that are looked at."""
_SEPARATOR_LINE = re.compile(r'"?sep=(.|\\t)"?\s*')
"""The line with which Excel is told the separator."""
_COMMENTS = ("#", "%", "//")
_RECBOLE = re.compile(r"([^:]+):(token|token_seq|float|float_seq)")
_NUMBER = re.compile(r"[+-]?(\d[\d.,]*|[.,]\d+)([eE][+-]?\d+)?")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}([-/.]\d{1,4})?([T ].*)?|\d{8}T\d{6}Z?")
_IDENTIFIER = re.compile(r"[^\W\d][\w .:$\-/()]{0,60}")
_ID_LINE = re.compile(r"\d+( \d+)+ ?")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_CSV_LIKE = (",", ";")
"""Separators of files whose writers quote as CSV writers do, line ends included."""


@dataclass(frozen=True)
class Dialect:
    """How the text of a file is cut into cells."""

    separator: str
    quote: Quote = Quote.DOUBLE
    escape: Escape = Escape.DOUBLED
    strict: bool = True
    """Whether quotes are read as CSV has them: they open at the start of a cell and may enclose line ends.
    Otherwise they mean something only where they enclose a whole cell within a line."""
    header: bool = True
    names: tuple[str, ...] = ()
    lists: dict[str, str | None] = field(default_factory=dict)
    """The separator inside the cells of columns that hold several values."""
    skipped: int = 0
    """Lines before the header (or the first row) that are no table."""
    comment: str | None = None
    """Lines that begin so are left out."""
    trim: bool = False
    """Whether spaces after separators belong to the separators."""
    rest: bool = False

    def told(self) -> str:
        """The dialect in words, as far as it is not that of a plain CSV file."""
        name = SEPARATOR_NAMES.get(self.separator, repr(self.separator)).replace("_", " ")
        said = [f"columns are separated by {_PHRASES.get(name, name)}"]
        if not self.header:
            said.append("there is no header")
        if self.skipped:
            one = self.skipped == 1
            lines = (
                "a line before the table is"
                if one
                else f"{self.skipped} lines before the table are"
            )
            said.append(f"{lines} left out")
        if self.quote is Quote.SINGLE:
            said.append("cells are in single quotes")
        if self.escape is Escape.BACKSLASH:
            said.append("quotes in cells stand after a backslash")
        if self.trim:
            said.append("spaces after separators are left out")
        return ", ".join(said)


_PHRASES = {
    "comma": "commas",
    "tab": "tabs",
    "semicolon": "semicolons",
    "pipe": "`|`",
    "double colon": "`::`",
    "space": "spaces",
    "ctrl a": "^A",
}


@dataclass(frozen=True)
class Sniffed:
    """A dialect, and the first rows as it cuts them."""

    dialect: Dialect
    rows: list[list[str]]
    """The cells of the first lines after the header."""
    sure_header: bool
    """Whether a known name in the first line, or the person, says that there is a header."""


def sniff(text: str, name: str, asked: FileFormat, *, whole: bool) -> Sniffed:
    """Find the dialect of a file that begins with ``text``.

    Args:
        text: The first part of the file, with line feeds.
        name: The file's name, which decides where the text has one column only.
        asked: What is known about the file.
        whole: Whether ``text`` is all of the file.
    """
    lines = text.split("\n")[: _LINES + 50]
    if not whole and len(lines) > 1:
        lines = lines[:-1]
    first, separator, commented = _start(lines, asked)
    skipped = first if separator or commented else 0
    body = [line for line in lines[first:] if line and not _is_comment(line, asked.comment)][
        :_LINES
    ]
    body = body or [""]
    chosen = asked.separator or separator or _separator(body, name)
    recbole = _recbole(body[0], asked.separator)
    if recbole is not None:
        chosen, typed, lists = recbole
        dialect = Dialect(
            chosen,
            Quote.NONE,
            strict=False,
            names=asked.names or typed,
            lists=lists,
            skipped=skipped,
            comment=asked.comment,
        )
        return Sniffed(dialect, [line.split(chosen) for line in body[1:]], True)
    names = asked.names or ()
    if commented is not None and not names:
        cells = split_line(commented, chosen)
        if _names_columns(cells) and len(cells) == len(split_line(body[0], chosen)):
            names = tuple(cells)  # the header stands in the comment
    quote = asked.quote or _quote(body, chosen)
    strict = chosen in _CSV_LIKE if asked.multiline is None else asked.multiline
    strict = strict and quote is not Quote.NONE and not asked.rest
    escape = asked.escape or _escape(body, chosen, quote)
    cut = [_cells(line, chosen, quote, escape) for line in body]
    trim = quote is not Quote.NONE and chosen != " " and _is_trimmed(body, chosen)
    if trim:
        cut = [_cells(_without_spaces(line, chosen), chosen, quote, escape) for line in body]
    sure = asked.header is True or _names_columns(cut[0])
    header = asked.header if asked.header is not None else sure or _is_header(cut[0], cut[1:])
    if not header and not names:
        width = Counter(map(len, cut)).most_common(1)[0][0]
        names = tuple(str(number) for number in range(1, width + 1))
    dialect = Dialect(
        chosen, quote, escape, strict, header, names, {}, skipped, asked.comment, trim, asked.rest
    )
    return Sniffed(dialect, cut[1:] if header else cut, sure)


def header_of(rows: Sequence[list[str]], asked: FileFormat) -> tuple[bool, tuple[str, ...]]:
    """Whether the first of some rows is a header, and the names of the columns."""
    known = asked.header is None and (_names_columns(rows[0]) or _is_header(rows[0], rows[1:]))
    header = known if asked.header is None else asked.header
    if asked.names:
        return header, asked.names
    if header:
        return True, tuple(cell.strip() for cell in rows[0])
    return False, tuple(str(number) for number in range(1, max(map(len, rows)) + 1))


def split_line(line: str, separator: str) -> list[str]:
    """The cells of a line, without the marks of a comment in front."""
    return [cell.strip() for cell in line.lstrip("#%/ ").split(separator)]


def _start(lines: Sequence[str], asked: FileFormat) -> tuple[int, str | None, str | None]:
    """Where the table begins, the separator that a line before it states, and the last comment there."""
    separator, commented, at = None, None, 0
    for at, line in enumerate(lines):
        stated = _SEPARATOR_LINE.fullmatch(line)
        if at == 0 and stated:
            separator = "\t" if stated[1] == r"\t" else stated[1]
        elif _is_comment(line, asked.comment) or (
            asked.comment is None and line.startswith(_COMMENTS)
        ):
            commented = line
        elif line.strip():
            return at, separator, commented
    return at, separator, commented


def _is_comment(line: str, comment: str | None) -> bool:
    return comment is not None and line.startswith(comment)


def _separator(lines: Sequence[str], name: str) -> str:
    """The separator that most lines hold as often as the first one; of several, the most frequent one."""
    if all(_ID_LINE.fullmatch(line) for line in lines):
        return " "
    bare = [_QUOTED.sub("", line) for line in lines]
    best, score = "", (0.0, 0)
    for separator in SEPARATORS.values():
        counts = [
            len(line.split()) - 1 if separator == " " else line.count(separator) for line in bare
        ]
        if not counts[0]:
            continue
        same = sum(count == counts[0] for count in counts) / len(counts)
        found = (float(same >= 0.5) - (separator == " "), counts[0])
        if found > score or not best:
            best, score = separator, found
    if best == " " and score[0] < 0:
        return ","
    tabbed = re.sub(r"\.(gz|gzip|zst|zstd|bz2|xz)$", "", name.lower())
    return best or ("\t" if tabbed.endswith((".tsv", ".tab", ".inter", ".item")) else ",")


def _recbole(
    line: str, asked: str | None
) -> tuple[str, tuple[str, ...], dict[str, str | None]] | None:
    for separator in (asked,) if asked else ("\t", ",", ";", "|", " "):
        matches = [_RECBOLE.fullmatch(cell.strip()) for cell in line.split(separator)]
        found = [match for match in matches if match]
        if found and len(found) == len(matches):
            names = tuple(match[1].strip() for match in found)
            inner = "," if separator == " " else " "
            lists = {match[1].strip(): inner for match in found if match[2].endswith("_seq")}
            return separator, names, dict(lists)
    return None


def _quote(lines: Sequence[str], separator: str) -> Quote:
    cells = [cell.strip() for cell in lines[0].split(separator)]
    single = len(cells) > 1 and all(
        len(cell) > 1 and cell[0] == cell[-1] == "'" and "'" not in cell[1:-1] for cell in cells
    )
    return Quote.SINGLE if single else Quote.DOUBLE


def _escape(lines: Sequence[str], separator: str, quote: Quote) -> Escape:
    """A quote after a backslash in a quoted cell escapes where the cell goes on behind it."""
    if quote is Quote.NONE:
        return Escape.DOUBLED
    mark, cut = ("'" if quote is Quote.SINGLE else '"'), re.escape(separator)
    inside = re.compile(rf"(?:^|{cut})\s*{mark}(?:[^{mark}\\]|\\.)*\\{mark}(?!{mark}|{cut}|\s*$)")
    return Escape.BACKSLASH if any(inside.search(line) for line in lines) else Escape.DOUBLED


def _cells(line: str, separator: str, quote: Quote, escape: Escape) -> list[str]:
    if separator == " ":
        return line.split()
    if quote is Quote.NONE or len(separator) > 1:
        return line.split(separator)
    mark = "'" if quote is Quote.SINGLE else '"'
    backslash = "\\" if escape is Escape.BACKSLASH else None
    try:
        reader = csv.reader(
            [line], delimiter=separator, quotechar=mark, escapechar=backslash,
            doublequote=backslash is None,
        )  # fmt: skip
        return next(reader, [])
    except csv.Error:
        return line.split(separator)


def _is_trimmed(lines: Sequence[str], separator: str) -> bool:
    """Whether a space follows every separator outside of quotes."""
    sampled = [_QUOTED.sub("", line) for line in lines[:50]]
    every = sum(line.count(separator) for line in sampled)
    return every > 0 and every == sum(line.count(f"{separator} ") for line in sampled)


def _without_spaces(line: str, separator: str) -> str:
    pattern = rf'"(?:[^"]|"")*"|{re.escape(separator)} +'
    return re.sub(pattern, lambda hit: hit[0] if hit[0][0] == '"' else separator, line)


def _names_columns(cells: Sequence[str]) -> bool:
    return any(
        plain(cell) in KNOWN or plain(cell) in ("userid", "itemid") for cell in cells
    ) and not any(_NUMBER.fullmatch(cell.strip()) for cell in cells)


def _is_header(cells: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first line names columns, by its difference from the lines below."""
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
    return not any(cell in row for row in rows for cell in filled)


def _is_value(cell: str) -> bool:
    return bool(_NUMBER.fullmatch(cell.strip()) or _DATE.fullmatch(cell.strip()))
