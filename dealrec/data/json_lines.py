"""JSON Lines files: one object a line, whose numbers are kept as they are written."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dealrec.data.detection import UTF8_BOM, file_error
from dealrec.data.streams import UnpackedFile
from dealrec.data.tables import BadRow, Batch, chosen, is_name

_decode = json.JSONDecoder(
    parse_int=str, parse_float=str, parse_constant=lambda name: None if name == "NaN" else name
).decode
_LINE_END = re.compile(rb"\r\n|\r|\n")


class JsonLinesReader:
    """Reads the fields that hold text or a number; ``NaN`` counts as null."""

    def __init__(self, file: UnpackedFile) -> None:
        self.name = file.name
        self._file = file
        fields = _fields(_LINE_END.split(file.head.removeprefix(UTF8_BOM)))
        for lines, _ in self._lines() if not fields else ():
            fields = fields or _fields(lines)
        if not fields:
            raise file_error(self.name, "not_tabular", "No line holds a JSON object.")
        self.column_names = fields
        self._check_count(len(fields))

    def has(self, name: str) -> bool:
        """See :meth:`dealrec.data.tables.TableReader.has`."""
        if name in self.column_names:
            return True
        written = {json.dumps(name).encode(), json.dumps(name, ensure_ascii=False).encode()}
        return any(
            name in _fields([line])
            for lines, _ in self._lines()
            for line in lines
            if any(form in line for form in written)
        )

    def batches(self, columns: Sequence[str], *, others: bool = False) -> Iterator[Batch]:
        """Read text columns; see :meth:`dealrec.data.tables.TableReader.batches`."""
        names = dict.fromkeys(chosen(self.column_names, columns, others=others))
        for lines, first in self._lines():
            rows, objects, bad = self._objects(lines, first, columns)
            if others:
                names |= dict.fromkeys(_text_fields(objects))
                self._check_count(len(names))
            yield Batch(
                columns={
                    name: pa.array([_text(fields.get(name)) for fields in objects], pa.string())
                    for name in names
                },
                rows=np.array(rows, np.int64),
                bad=bad,
            )

    def _objects(
        self, lines: list[bytes], first: int, columns: Sequence[str]
    ) -> tuple[list[int], list[dict[str, Any]], list[BadRow]]:
        rows: list[int] = []
        objects: list[dict[str, Any]] = []
        bad: list[BadRow] = []
        for number, line in enumerate(lines, first):
            if not line.strip():
                continue
            fields = _object(line)
            if fields is None:
                bad.append(BadRow(number, None, "invalid_json"))
                continue
            odd = next((name for name in columns if not _is_text(fields.get(name))), None)
            if odd is not None:
                bad.append(BadRow(number, odd, "invalid_value"))
                continue
            rows.append(number)
            objects.append(fields)
        return rows, objects, bad

    def _check_count(self, fields: int) -> None:
        if fields > self._file.limits.columns:
            message = f"The objects have more than {self._file.limits.columns:,} fields in all."
            raise file_error(self.name, "too_many_columns", message)

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


def _fields(lines: Iterable[bytes]) -> list[str]:
    """The names of all fields in some lines that hold text, a number or null."""
    objects = (fields for line in lines if (fields := _object(line)))
    return _text_fields(objects, null=True)


def _text_fields(objects: Iterable[dict[str, Any]], *, null: bool = False) -> list[str]:
    names = dict.fromkeys(
        name
        for fields in objects
        for name, value in fields.items()
        if (value is not None or null) and _is_text(value)
    )
    return [name for name in names if is_name(name)]


def _text(value: Any) -> str | None:
    return value if _is_text(value) else None


def _is_text(value: Any) -> bool:
    """Whether a value is null, or text (numbers are kept as text) that UTF-8 can encode."""
    if value is None:
        return True
    if not isinstance(value, str):
        return False
    return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
