"""Text in CSV files, written so that a spreadsheet shows it and never runs it as a formula.

A text that begins with what opens a formula, or with an apostrophe, gets one apostrophe in front.
Whoever reads text columns takes one leading apostrophe away (``removeprefix("'")``) and has exactly
what it was; numbers are never touched.
"""

import re
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_OPENS = "=+-@\t\r\n＝＋－＠"
"""OWASP's list, with the full-width forms that spreadsheets take for the plain ones."""


def shown(text: str) -> str:
    """``text`` as a cell."""
    return f"'{text}" if text.startswith((*_OPENS, "'")) else text


def shown_table(table: pa.Table) -> pa.Table:
    """``table`` with every text column as :func:`shown` writes it; others as they are."""
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            column: Any = pc.replace_substring_regex(
                table.column(index), pattern=f"^([{re.escape(_OPENS)}'])", replacement=r"'\1"
            )
            table = table.set_column(index, field, column)
    return table
