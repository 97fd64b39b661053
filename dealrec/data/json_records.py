"""The records of JSON text: an object a line, an array of objects, or objects over several lines."""

import ast
import json
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dealrec.data.detection import file_error
from dealrec.data.streams import UnpackedFile
from dealrec.data.synonyms import KNOWN, plain


def _number(text: str) -> str:
    """A number as it is written, but for the fraction of a whole one: 12.0 is 12."""
    whole, _, fraction = text.partition(".")
    return whole if fraction and not fraction.strip("0") else text


_DECODER = json.JSONDecoder(parse_int=str, parse_float=_number, parse_constant=lambda _: None)
_UNICODE = re.compile(r"u'(.*)'", re.DOTALL)
_GAP = re.compile(r"[\s,]*")
_FIRST_LINES = 20
_LINES_BY_JQ = " `jq -c '.[]'` writes one object per line."


class JsonShape(StrEnum):
    """How records follow one another."""

    LINES = "one JSON object per line"
    LITERALS = "one Python dictionary per line"
    DOCUMENT = "JSON objects in an array, or one after another"


@dataclass(frozen=True)
class Records:
    """Some records of a file: what was parsed, ``None`` where it is no object."""

    objects: list[dict[str, Any] | None]
    rows: list[int]
    """The line of each record; in a document its number from 1."""


def json_shape(text: str) -> JsonShape:
    """Find the shape of JSON text by its first part."""
    if text.lstrip().startswith("["):
        return JsonShape.DOCUMENT
    first = [line for line in text.split("\n") if line.strip()][:_FIRST_LINES]
    if any(parsed_json(line) is not None for line in first):
        return JsonShape.LINES
    if any(parsed_literal(line) is not None for line in first):
        return JsonShape.LITERALS
    try:
        _DECODER.raw_decode(text.lstrip())
    except (ValueError, RecursionError):
        return JsonShape.LINES
    return JsonShape.DOCUMENT


def other_orient(document: dict[str, Any]) -> str | None:
    """What to do with a document that is one object of columns, of rows or of users; ``None`` for a row."""
    values = list(document.values())
    way = 'pandas.read_json(…{}).to_json(…, orient="records", lines=True)` writes one object a row.'
    if document.keys() >= {"columns", "data"} and isinstance(document["columns"], list):
        return "The file is one object of names and rows. `" + way.format(', orient="split"')
    if len(values) > 1 and all(isinstance(value, dict) for value in values):
        if all("0" in value for value in values):
            return "The file is one object of columns, not of rows. `" + way.format("")
        if len({tuple(value) for value in values}) == 1:
            return "The file is one object whose fields are the rows. `jq -c '.[]'` writes one per line."
    named = any(plain(name) in (*KNOWN, "userid", "itemid") for name in document)
    if len(values) < 2 or named or not all(isinstance(value, list) for value in values):
        return None
    if all(map(_is_flat_list, values)):
        return (
            "The file is one object of users and their items. `jq -c 'to_entries[] | {user_id: .key, "
            "item_ids: .value}'` writes one user per line."
        )
    if all(isinstance(inner, dict) for value in values for inner in value):
        return (
            "The file is one object of users and their interactions. `jq -c 'to_entries[] | {user_id: "
            ".key} + .value[]'` writes one interaction per line."
        )
    return None


def without_objects(text: str) -> str:
    """What to do with JSON text that holds no object of text and numbers."""
    if re.match(r"\s*\[\s*\[", text):
        return (
            "The file holds rows without names. `jq -r '.[] | @csv'` writes them as CSV; then `--set "
            "data.format.names=user_id,item_id,timestamp` names the columns by position."
        )
    return "No line is a JSON object."


def _is_flat_list(value: Any) -> bool:
    return isinstance(value, list) and not any(isinstance(inner, dict | list) for inner in value)


def records(file: UnpackedFile, shape: JsonShape) -> Iterator[Records]:
    """Iterate over the records of a file in its order, a piece of the file at a time.

    Raises:
        InputError: ``line_too_long``; in a document also ``not_tabular`` and ``truncated_stream``.
    """
    if shape is JsonShape.DOCUMENT:
        yield from _document(file)
        return
    parse = parsed_json if shape is JsonShape.LINES else parsed_literal
    for lines, first in file.numbered_lines():
        yield parsed_lines(lines, first, parse)


def parsed_lines(
    lines: list[str], first: int, parse: Callable[[str], dict[str, Any] | None]
) -> Records:
    """The records of some lines, of which the first one has the number ``first``."""
    numbered = [(at, line) for at, line in enumerate(lines, first) if line and not line.isspace()]
    return Records([parse(line) for _, line in numbered], [at for at, _ in numbered])


def parsed_json(text: str) -> dict[str, Any] | None:
    """The object in a line. Numbers stay as written (12.0 is 12), and ``NaN`` and ``Infinity`` are null."""
    try:
        found = _DECODER.decode(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def parsed_literal(text: str) -> dict[str, Any] | None:
    """The dictionary in a line that Python wrote; nothing in it is run, and what is no literal is null.

    Python's parser bounds how deep a text may nest, and the limit of lines how long it is.
    """
    try:
        with warnings.catch_warnings():  # about escapes that Python does not know
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval")
        try:
            found = ast.literal_eval(tree)
        except ValueError:
            found = ast.literal_eval(_Literals().visit(tree))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    return {name: _inner_text(value) for name, value in found.items()}


class _Literals(ast.NodeTransformer):
    """Puts null in the place of what is no literal, such as the ``nan`` of an unneeded field."""

    def visit(self, node: ast.AST) -> ast.AST:
        signed = isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant)
        if signed or isinstance(node, ast.Name | ast.Call):
            return ast.Constant(None)
        return self.generic_visit(node)


def _inner_text(value: Any) -> Any:
    """The text within a text that Python 2 wrote as ``u'…'``, as some dumps hold it."""
    quoted = _UNICODE.fullmatch(value) if isinstance(value, str) else None
    return quoted[1] if quoted else value


def _document(file: UnpackedFile) -> Iterator[Records]:
    document, count = _Document(file), 0
    for chunk in file.text_chunks():
        found = document.feed(chunk.decode())
        yield Records(found, list(range(count + 1, count + 1 + len(found))))
        count += len(found)
    found = document.end()
    yield Records(found, list(range(count + 1, count + 1 + len(found))))


class _Document:
    """Cuts a text into the records that follow one another in it."""

    def __init__(self, file: UnpackedFile) -> None:
        self._file = file
        self._text = ""
        self._line = 1
        self._begun = self._array = self._closed = False

    def feed(self, piece: str) -> list[dict[str, Any] | None]:
        """The records that are complete with a further piece of the text."""
        self._text += piece
        return self._records(last=False)

    def end(self) -> list[dict[str, Any] | None]:
        """The records in what is left."""
        found = self._records(last=True)
        if self._array and not self._closed:
            raise self._error("truncated_stream", 0, "the array is not closed")
        return found

    def _records(self, *, last: bool) -> list[dict[str, Any] | None]:
        found: list[dict[str, Any] | None] = []
        at = 0
        while (at := self._between(at)) < len(self._text):
            record = self._record(at, last=last)
            if record is None:
                break
            value, at = record
            found.append(value if isinstance(value, dict) else None)
        self._line += self._text.count("\n", 0, at)
        self._text = self._text[at:]
        return found

    def _between(self, at: int) -> int:
        """Pass what stands between records: white space, commas and the brackets of the array."""
        while gap := _GAP.match(self._text, at):
            at = gap.end()
            mark = self._text[at : at + 1]
            if mark == "[" and not self._begun:
                self._array = True
            elif mark == "]" and self._array and not self._closed:
                self._closed = True
            else:
                break
            self._begun, at = True, at + 1
        return at

    def _record(self, at: int, *, last: bool) -> tuple[Any, int] | None:
        """The record that begins here and its end; ``None`` if more text is needed."""
        if self._closed or (not self._array and self._text[at] != "{"):
            arrays = (
                " `jq -r '@csv'` turns arrays into lines of CSV." if self._text[at] == "[" else ""
            )
            why = "there is something else after the records"
            raise self._error("not_tabular", at, why, arrays or _LINES_BY_JQ)
        self._begun = True
        try:
            return _DECODER.raw_decode(self._text, at)
        except RecursionError:
            raise self._error("not_tabular", at, "a record is nested too deeply") from None
        except ValueError as error:
            limit = self._file.limits.line_bytes
            if len(self._text) - at > limit:
                line = str(self._line + self._text.count("\n", 0, at))
                message = f"A record is longer than {limit:,} bytes, or cannot be read."
                raise file_error(self._file.name, "line_too_long", message, line) from None
            if not last:
                return None
            if self._text.startswith("{'", at):
                raise self._error(
                    "not_tabular",
                    at,
                    "it is Python and not JSON. Python can be read with one dictionary per line, so "
                    "write `print(*rows, sep='\\n')`, or JSON with `json.dump`",
                    way="",
                ) from None
            ended = getattr(error, "pos", 0) >= len(self._text.rstrip()) - 1
            code = "truncated_stream" if ended else "not_tabular"
            raise self._error(code, at, "a record cannot be read") from None

    def _error(self, code: str, at: int, why: str, way: str = _LINES_BY_JQ) -> Exception:
        line = str(self._line + self._text.count("\n", 0, at))
        message = f"The JSON cannot be read from here on: {why}.{way}"
        return file_error(self._file.name, code, message, line)
