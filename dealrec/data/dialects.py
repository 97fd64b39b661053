"""The dialect of delimited text: separator, quotes, comments and header, by the first lines of a file."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from dealrec.config.formats import SEPARATOR_NAMES, SEPARATORS, Escape, FileFormat, Quote
from dealrec.data.headers import is_header, longer_names, names_columns, table_begins, unseparated

_LINES = 200
"""Lines that are looked at."""
_SEPARATOR_LINE = re.compile(r'"?sep=(.|\\t)"?\s*')
"""The line with which Excel is told the separator."""
_COMMENTS = ("#", "%", "//")
_RECBOLE = re.compile(r"([^:]+):(token|token_seq|float|float_seq)")
_RULE = re.compile(r"[+|\-=: ]*--[+|\-=: ]*")
"""A line that is drawn in a table for people."""
_ABOVE = 20
"""The lines above a table that are looked at."""
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
    """Whether spaces beside separators belong to the separators."""
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
            said.append("quotes inside cells follow a backslash")
        if self.trim:
            said.append("spaces around separators are ignored")
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
    hint: str = ""
    """What to do where no column was found, in words."""


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
    first += _lines_before(lines[first:], name, asked)
    skipped = first if any(line.strip() for line in lines[:first]) else 0
    body = [
        line
        for line in lines[first:]
        if line and not _is_comment(line, asked.comment) and not _RULE.fullmatch(line)
    ][:_LINES]
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
        if names_columns(cells) and len(cells) == len(split_line(body[0], chosen)):
            names = tuple(cells)  # the header stands in the comment
    quote = asked.quote or _quote(body, chosen)
    strict = chosen in _CSV_LIKE if asked.multiline is None else asked.multiline
    strict = strict and quote is not Quote.NONE and not asked.rest
    escape = asked.escape or _escape(body, chosen, quote)
    cut = [_cells(line, chosen, quote, escape) for line in body]
    trim = quote is not Quote.NONE and chosen != " " and _is_trimmed(body, chosen)
    if trim:
        cut = [_cells(_without_spaces(line, chosen), chosen, quote, escape) for line in body]
    sure = asked.header is True or names_columns(cut[0])
    found = sure or is_header(cut[0], cut[1:], asked.names)
    header = found if asked.header is None else asked.header
    if header and not names:
        names = longer_names(cut)
    if not header and not names:
        width = Counter(map(len, cut)).most_common(1)[0][0]
        names = tuple(str(number) for number in range(1, width + 1))
    dialect = Dialect(
        chosen, quote, escape, strict, header, names, {}, skipped, asked.comment, trim, asked.rest
    )
    hint = unseparated(body) if max(map(len, cut)) == 1 else ""
    return Sniffed(dialect, cut[1:] if header else cut, sure, hint)


def split_line(line: str, separator: str) -> list[str]:
    """The cells of a line, without the marks of a comment in front."""
    return [cell.strip() for cell in line.lstrip("#%/ ").split(separator)]


def _start(lines: Sequence[str], asked: FileFormat) -> tuple[int, str | None, str | None]:
    """Where the table begins, the separator that a line before it states, and the last comment there."""
    separator, commented, at = None, None, asked.skip
    for at, line in enumerate(lines[asked.skip :], asked.skip):
        stated = _SEPARATOR_LINE.fullmatch(line)
        if at == asked.skip and stated:
            separator = "\t" if stated[1] == r"\t" else stated[1]
        elif _is_comment(line, asked.comment) or (
            asked.comment is None and line.startswith(_COMMENTS)
        ):
            commented = line
        elif line.strip() and not _RULE.fullmatch(line):
            return at, separator, commented
    return at, separator, commented


def _lines_before(lines: Sequence[str], name: str, asked: FileFormat) -> int:
    """The number of lines before the one that names columns, where a report has words above its table."""
    if asked.skip or asked.names or asked.header is not None:
        return 0
    found = (at for at, line in enumerate(lines[:_ABOVE]) if line.strip())
    for at in found:
        separator = asked.separator or _separator(lines[at : at + _LINES], name)
        if table_begins([split_line(line, separator) for line in lines[: at + 1]]):
            return at
    return 0


def _is_comment(line: str, comment: str | None) -> bool:
    return comment is not None and line.startswith(comment)


def _separator(lines: Sequence[str], name: str) -> str:
    """The separator that most lines hold as often as the first one; of several, the most frequent one."""
    if all(_ID_LINE.fullmatch(line) for line in lines):
        return " "
    bare = [_QUOTED.sub("x", line) for line in lines]
    best, score = "", (0.0, 0)
    for separator in SEPARATORS.values():
        counts = [
            len(line.split()) - 1 if separator == " " else line.count(separator) for line in bare
        ]
        if not counts[0]:
            continue
        alike = (sum(count == counts[0] + more for count in counts) for more in (0, 1))
        same = max(alike) / len(counts)
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
    """Whether a space, or the end of the line, follows every separator outside of quotes."""
    sampled = [f"{_QUOTED.sub('', line).rstrip()} " for line in lines[:50]]
    every = sum(line.count(separator) for line in sampled)
    return every > 0 and every == sum(line.count(f"{separator} ") for line in sampled)


def _without_spaces(line: str, separator: str) -> str:
    pattern = rf'"(?:[^"]|"")*"| *{re.escape(separator)} *|^ +| +$'
    return re.sub(pattern, lambda hit: hit[0] if hit[0][0] == '"' else hit[0].strip(" "), line)
