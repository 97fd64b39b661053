"""JSON Lines files: one object a line, whose numbers are kept as they are written."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dealrec.data.detection import file_error
from dealrec.data.streams import UnpackedFile
from dealrec.data.tables import BadRow, Batch, is_name

_decode = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str).decode


class JsonLinesReader:
    """Reads the fields that hold text or a number in the first object; they are the columns."""

    def __init__(self, file: UnpackedFile) -> None:
        self.name = file.name
        self._file = file
        self.column_names: list[str] = []
        for lines, _ in self._lines():
            fields = next((parsed for line in lines if (parsed := _object(line))), None)
            if fields is not None:
                self.column_names = [
                    name for name, value in fields.items() if _is_text(value) and is_name(name)
                ]
                break
        if len(self.column_names) > file.limits.columns:
            raise file_error(self.name, "too_many_columns", "The first object has too many fields.")
        if not self.column_names:
            raise file_error(self.name, "not_tabular", "No line holds a JSON object.")

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Read text columns; see :meth:`dealrec.data.tables.TableReader.batches`."""
        for lines, first in self._lines():
            yield self._batch(lines, first, columns)

    def _batch(self, lines: list[bytes], first: int, columns: Sequence[str]) -> Batch:
        cells: dict[str, list[str | None]] = {column: [] for column in columns}
        rows: list[int] = []
        bad: list[BadRow] = []
        for number, line in enumerate(lines, first):
            if not line.strip():
                continue
            parsed = _object(line)
            if parsed is None:
                bad.append(BadRow(number, None, "invalid_json"))
                continue
            values = {column: parsed.get(column) for column in columns}
            odd = next((c for c, value in values.items() if not _is_text(value)), None)
            if odd is not None:
                bad.append(BadRow(number, odd, "invalid_value"))
                continue
            rows.append(number)
            for column, value in values.items():
                cells[column].append(value)
        return Batch(
            columns={column: pa.array(values, pa.string()) for column, values in cells.items()},
            rows=np.array(rows, np.int64),
            bad=bad,
        )

    def _lines(self) -> Iterator[tuple[list[bytes], int]]:
        """Iterate over groups of lines, each with the number of its first line from 1."""
        rest, number = b"", 1
        for chunk in self._file.text_chunks():
            *lines, rest = (rest + chunk).split(b"\n")
            if max(map(len, lines), default=0) > self._file.limits.line_bytes or (
                len(rest) > self._file.limits.line_bytes
            ):
                raise file_error(
                    self.name,
                    "line_too_long",
                    f"A line is longer than {self._file.limits.line_bytes:,} bytes.",
                )
            yield lines, number
            number += len(lines)
        if rest:
            yield [rest], number


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        parsed = _decode(line.decode())
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _is_text(value: Any) -> bool:
    """Whether a value is null, or text (numbers are kept as text) that UTF-8 can encode."""
    if value is None:
        return True
    if not isinstance(value, str):
        return False
    return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
