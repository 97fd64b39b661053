"""The description of a file: how its text is split into columns, and how its values are written."""

import codecs
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from dealrec.config.base import Config, Listed

SEPARATORS = {
    "comma": ",",
    "tab": "\t",
    "semicolon": ";",
    "pipe": "|",
    "double_colon": "::",
    "space": " ",
    "ctrl_a": "\x01",
}
"""The separators by the names that people can write where the character itself is hard to write."""
SEPARATOR_NAMES = {character: name for name, character in SEPARATORS.items()}
_NO_FILES = {"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "utf-7"}
"""Python's encodings that no file of data has."""
_ESCAPED = {r"\t": "\t", r"\x01": "\x01", r"\001": "\x01", r"\u0001": "\x01", "^A": "\x01"}


class Quote(StrEnum):
    """The character that encloses a cell, so that it may hold separators."""

    DOUBLE = "double"
    SINGLE = "single"
    NONE = "none"
    """Quotes mean nothing and belong to the text."""


class Escape(StrEnum):
    """How a quote inside a quoted cell is written."""

    DOUBLED = "doubled"
    BACKSLASH = "backslash"


class Decimal(StrEnum):
    """The mark between the whole part of a number and its fraction."""

    POINT = "point"
    COMMA = "comma"


class RowOrder(StrEnum):
    """The order of a user's interactions where no column says it."""

    FILE = "file"
    """A later row is a later interaction."""


def _separator(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return SEPARATORS.get(value.strip().lower(), _ESCAPED.get(value, value))


Separator = Annotated[str, Field(min_length=1, max_length=2), BeforeValidator(_separator)]
Name = Annotated[str, Field(min_length=1, max_length=500)]


class FileFormat(Config):
    r"""How a file is read. What is not set is detected, and the validation report says what was detected.

    Examples:
        >>> FileFormat.parse({"separator": "tab", "names": "user_id,item_id"}).separator
        '\t'
    """

    separator: Separator | None = None
    """The characters between cells: `,`, `;`, `|`, `::`, or by name `comma`, `tab`, `semicolon`, `pipe`,
    `double_colon`, `space`, `ctrl_a`."""
    header: bool | None = None
    """Whether the first line holds the names of the columns."""
    names: Annotated[tuple[Name, ...], Listed] | None = Field(None, min_length=1, max_length=1000)
    """The names of the columns by position, for a file without a header (or instead of its header)."""
    quote: Quote | None = None
    """The quotes around cells."""
    escape: Escape | None = None
    """How a quote inside a quoted cell is written: doubled, or after a backslash."""
    multiline: bool | None = None
    """Whether a quoted cell may span lines. By default it may in every file but a tab-separated one."""
    rest: bool = False
    """Whether the last column takes the rest of its line, separators included."""
    skip: int = Field(0, ge=0, le=1000)
    """The number of lines (in a workbook: rows) before the table, which are skipped."""
    sheet: Name | None = None
    """The sheet of a workbook to read, if several have content."""
    comment: Annotated[str, Field(min_length=1, max_length=10)] | None = None
    """Lines that begin with these characters are skipped. If not set, comments before the header are."""
    encoding: str | None = None
    """The encoding of the text, such as `utf-8`, `latin-1`, `cp1252`, `gbk`, `utf-16`."""
    date_format: str | None = None
    """The format of dates, in the directives of `strptime`, such as `%d/%m/%Y %H:%M`."""
    decimal: Decimal | None = None
    """The decimal mark of numbers."""
    null_values: Annotated[tuple[str, ...], Listed] = ()
    """Words that mean a missing value, such as `NA` or `\\N`."""
    list_separator: Separator | None = None
    """The separator of the ids in a cell that holds several of them (a history in one row)."""
    order: RowOrder | None = None
    """With `file`, the order of the rows is the order in time, and no column is needed for it."""

    @field_validator("separator")
    @classmethod
    def _usable_separator(cls, value: str | None) -> str | None:
        if value is not None and any(mark in value for mark in "\"'\\\r\n\x00"):
            raise ValueError("a separator cannot contain quotes, backslashes or line ends")
        return value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            found = codecs.lookup(value)
        except LookupError:
            raise ValueError(
                f"there is no encoding {value!r}; use one such as utf-8, latin-1, cp1252, gbk or utf-16"
            ) from None
        if not found._is_text_encoding or found.name in _NO_FILES:
            raise ValueError(f"{value!r} is not an encoding of text files")
        return found.name

    @field_validator("date_format")
    @classmethod
    def _usable_date_format(cls, value: str | None) -> str | None:
        if value is None:
            return None
        moment = datetime(2019, 10, 23, 4, 5, 6, tzinfo=UTC)
        try:
            found = datetime.strptime(moment.strftime(value), value)  # noqa: DTZ007
        except (ValueError, re.error):
            raise ValueError("must use the directives of `strptime`, as in %d/%m/%Y") from None
        if found.year != moment.year:
            raise ValueError("has no year; use the directives of `strptime`, as in %d/%m/%Y %H:%M")
        return value
