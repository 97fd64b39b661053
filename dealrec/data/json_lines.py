"""JSON files: the fields of their objects as columns, nested ones by their paths."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dealrec.data.detection import file_error
from dealrec.data.json_records import (
    JsonShape,
    Records,
    json_shape,
    other_orient,
    parsed_json,
    parsed_lines,
    parsed_literal,
    records,
    without_objects,
)
from dealrec.data.streams import UnpackedFile
from dealrec.data.tables import BadRow, Batch, chosen, is_name

_DEPTH = 4
"""How deep fields are looked for in objects within objects."""
_NOT_THERE = object()


class JsonReader:
    """Reads the fields that hold text or a number; ``NaN`` counts as null.

    A field of an object within the object has the path ``outer.inner``. An object with a single field that
    begins with ``$``, as MongoDB writes dates and ids, stands for its value.
    """

    def __init__(self, file: UnpackedFile) -> None:
        self.name = file.name
        self._file = file
        head = file.text_head().decode("utf-8", "replace")
        self.shape = json_shape(head)
        sample = self._sample(head)
        self._refuse_columns(sample)
        self._plain = _plain_fields(sample, null=True)
        self.lists: dict[str, str | None] = dict.fromkeys(_list_fields(sample))
        if not self._plain and not self.lists and not _paths(sample):
            for found in self._records():
                sample = [fields for fields in found.objects if fields]
                self._plain = _plain_fields(sample, null=True)
                if self._plain or _paths(sample):
                    break
        nested = [path for path in _paths(sample) if path not in self._plain]
        self.column_names = [*self._plain, *nested, *self.lists]
        if not self.column_names:
            raise file_error(self.name, "not_tabular", without_objects(head))
        self._check_count(len(self._plain))

    def _refuse_columns(self, sample: list[dict[str, Any]]) -> None:
        """Refuse one object that holds columns or rows under keys, and say how to write one object a row."""
        told = other_orient(sample[0]) if len(sample) == 1 else None
        if told is not None:
            raise file_error(self.name, "not_tabular", told)

    def has(self, name: str) -> bool:
        """See :meth:`dealrec.data.tables.TableReader.has`."""
        if name in self.column_names:
            return True
        parts = {name, *name.split(".")}
        written = {json.dumps(part)[1:-1] for part in parts} | parts
        return any(
            fields is not None
            and _is_text(value := _field(fields, name))
            and value is not _NOT_THERE
            for found in self._records(written)
            for fields in found.objects
        )

    def notes(self) -> list[str]:
        """See :meth:`dealrec.data.tables.TableReader.notes`."""
        return []

    def batches(self, columns: Sequence[str], *, others: bool = False) -> Iterator[Batch]:
        """Read text columns; see :meth:`dealrec.data.tables.TableReader.batches`."""
        names = dict.fromkeys(chosen(self._plain, columns, others=others))
        for found in self._records():
            rows, objects, bad = self._checked(found, columns)
            if others:
                names |= dict.fromkeys(_plain_fields(objects))
                self._check_count(len(names))
            yield Batch(
                columns={name: self._column(objects, name) for name in names},
                rows=np.array(rows, np.int64),
                bad=bad,
            )

    def _column(self, objects: list[dict[str, Any]], name: str) -> pa.Array:
        if name in self.lists:
            values = [_texts(_field(fields, name)) for fields in objects]
            return pa.array(values, pa.list_(pa.string()))
        return pa.array([_text(_field(fields, name)) for fields in objects], pa.string())

    def _checked(
        self, found: Records, columns: Sequence[str]
    ) -> tuple[list[int], list[dict[str, Any]], list[BadRow]]:
        rows: list[int] = []
        objects: list[dict[str, Any]] = []
        bad: list[BadRow] = []
        for number, fields in zip(found.rows, found.objects, strict=True):
            if fields is None:
                bad.append(BadRow(number, None, "invalid_json"))
                continue
            odd = next((name for name in columns if not self._usable(fields, name)), None)
            if odd is not None:
                bad.append(BadRow(number, odd, "invalid_value"))
                continue
            rows.append(number)
            objects.append(fields)
        return rows, objects, bad

    def _usable(self, fields: dict[str, Any], name: str) -> bool:
        value = _field(fields, name)
        return _is_text(value) or (name in self.lists and isinstance(value, list | tuple))

    def _records(self, written: set[str] | None = None) -> Iterator[Records]:
        """All records; with ``written``, of lines only those that hold one of the texts."""
        if written is None or self.shape is JsonShape.DOCUMENT:
            yield from records(self._file, self.shape)
            return
        parse = parsed_json if self.shape is JsonShape.LINES else parsed_literal
        for lines, _ in self._file.numbered_lines():
            found = [line for line in lines if any(text in line for text in written)]
            yield parsed_lines(found, 0, parse)

    def _sample(self, head: str) -> list[dict[str, Any]]:
        if self.shape is JsonShape.DOCUMENT:
            first = next(records(self._file, self.shape), None)
            found = first.objects[:2000] if first else []
        else:
            parse = parsed_json if self.shape is JsonShape.LINES else parsed_literal
            found = [parse(line) for line in head.split("\n")]
        return [fields for fields in found if fields]

    def _check_count(self, fields: int) -> None:
        if fields > self._file.limits.columns:
            message = f"The objects have more than {self._file.limits.columns:,} different fields."
            raise file_error(self.name, "too_many_columns", message)


def _field(fields: dict[str, Any], name: str) -> Any:
    """The value of a field or of a path; ``_NOT_THERE`` where there is none."""
    value = fields.get(name, _NOT_THERE)
    if value is _NOT_THERE and "." in name:
        value = fields
        for part in name.split("."):
            if isinstance(value, list):
                value = [inner.get(part) if isinstance(inner, dict) else None for inner in value]
            else:
                value = value.get(part, _NOT_THERE) if isinstance(value, dict) else _NOT_THERE
    while isinstance(value, dict) and len(value) == 1 and str(next(iter(value))).startswith("$"):
        value = next(iter(value.values()))
    return value


def _plain_fields(objects: Iterable[dict[str, Any]], *, null: bool = False) -> list[str]:
    """The names of fields that hold text or a number, with ``null`` also of those that hold null."""
    names = dict.fromkeys(
        name
        for fields in objects
        for name in fields
        if isinstance(name, str)
        and _is_text(value := _field(fields, name))
        and (null or value is not None)
    )
    return [name for name in names if is_name(name)]


def _list_fields(objects: list[dict[str, Any]]) -> list[str]:
    """The names of fields that hold lists of text or numbers, and never text or a number.

    Where a field holds a list of objects, the paths of the text and numbers in these are such names.
    """
    names: dict[Any, None] = {}
    for fields in objects:
        for name, value in fields.items():
            if not isinstance(value, list | tuple) or not value:
                continue
            if all(map(_is_text, value)):
                names[name] = None
            elif all(isinstance(inner, dict) for inner in value):
                names |= dict.fromkeys(_inner(name, value[0], _DEPTH))
    plain = _plain_fields(objects)
    return [name for name in names if isinstance(name, str) and is_name(name) and name not in plain]


def _paths(objects: list[dict[str, Any]]) -> list[str]:
    """The paths of text and numbers in objects within the objects."""
    found: dict[str, None] = {}
    for fields in objects:
        for name, value in fields.items():
            if isinstance(value, dict) and isinstance(name, str):
                found |= dict.fromkeys(_inner(name, value, 1))
    return [path for path in found if is_name(path)][:200]


def _inner(path: str, fields: dict[str, Any], depth: int) -> Iterator[str]:
    for name, value in fields.items():
        if not isinstance(name, str) or name.startswith("$"):
            continue
        inner = f"{path}.{name}"
        if isinstance(value, dict) and depth < _DEPTH and not _is_text(_field(fields, name)):
            yield from _inner(inner, value, depth + 1)
        elif _is_text(_field(fields, name)):
            yield inner


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value if _is_text(value) else None
    if value is None or not _is_text(value) or value is _NOT_THERE:
        return None
    return repr(value).removesuffix(".0")


def _texts(value: Any) -> list[str | None] | None:
    if isinstance(value, list | tuple):
        return [_text(part) for part in value]
    text = _text(value)
    return None if text is None else [text]


def _is_text(value: Any) -> bool:
    """Whether a value is null, a number, or text that UTF-8 can encode; one that is not there is null."""
    if value is None or value is _NOT_THERE:
        return True
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
    return isinstance(value, int | float) and not isinstance(value, bool)
