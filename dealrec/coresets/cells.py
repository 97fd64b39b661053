"""Text cells of CSV files, written so that a spreadsheet never runs them as formulas.

A text that begins with a character that opens a formula, or with an apostrophe, gets an apostrophe in
front. A reader of text columns removes one leading apostrophe (``removeprefix("'")``) and gets exactly
the original text. Numbers are never changed.
"""

import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_OPENS = "=+-@\t\r\n＝＋－＠"
"""The characters of OWASP's list, and their full-width forms, which spreadsheets treat alike."""


def shown(text: str) -> str:
    """Write ``text`` as a cell."""
    return f"'{text}" if text.startswith((*_OPENS, "'")) else text


def shown_table(table: pa.Table) -> pa.Table:
    """Write every text column of ``table`` as :func:`shown` does; other columns stay as they are."""
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            column: Any = pc.replace_substring_regex(
                table.column(index), pattern=f"^([{re.escape(_OPENS)}'])", replacement=r"'\1"
            )
            table = table.set_column(index, field, column)
    return table
