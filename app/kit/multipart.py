"""Multipart bodies are parsed while they stream: files go to disk, small fields to memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.concurrency import run_in_threadpool

from dealrec.app.kit.text import require_storable, shown_filename
from dealrec.errors import FieldError, InputError

_MAX_FIELD_BYTES = 256 * 1024
_MAX_PARTS = 32
_FLUSH_BYTES = 1024 * 1024


@dataclass(frozen=True)
class UploadedFile:
    """A file of the form, on disk under a generated name."""

    path: Path
    filename: str
    """The caller's name for the file. It is only shown, and never used as a path."""
    bytes: int


@dataclass
class Form:
    """The fields and files of a form."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, list[UploadedFile]] = field(default_factory=dict)
    """The files by name, in the order in which they came."""


async def read_form(
    request: Request, folder: Path, *, files: frozenset[str], fields: frozenset[str]
) -> Form:
    """Read the body into ``folder``; only the named files and fields are allowed, each field once.

    Raises :class:`InputError` (``invalid_form``, ``unknown_field``).
    """
    reader = _FormReader(folder, {**dict.fromkeys(files, True), **dict.fromkeys(fields, False)})
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise _invalid("The body must be multipart/form-data with a boundary.")
    try:
        parser = MultipartParser(options[b"boundary"], reader.callbacks())
        async for chunk in request.stream():
            parser.write(chunk)
            if reader.pending_bytes >= _FLUSH_BYTES:
                await run_in_threadpool(reader.flush)
        parser.finalize()
    except FormParserError:
        raise _invalid("The body is not well-formed multipart/form-data.") from None
    finally:
        await run_in_threadpool(reader.close)
    if not reader.ended:
        raise _invalid(
            "The body ends too early. The upload may have been interrupted; send it again."
        )
    return reader.form


class _FormReader:
    """Collects the events of the push parser, and writes to disk only in :meth:`flush`."""

    def __init__(self, folder: Path, allowed: Mapping[str, bool]) -> None:
        self.folder = folder
        self.allowed = allowed
        self.form = Form()
        self.ended = False
        self.pending_bytes = 0
        self._parts = 0
        self._pending: list[tuple[BinaryIO, bytes]] = []
        self._open: list[BinaryIO] = []
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._disposition = b""
        self._name = ""
        self._file: BinaryIO | None = None
        self._file_path = folder
        self._filename = ""
        self._size = 0
        self._text = bytearray()

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._finished,
        }

    def flush(self) -> None:
        for file, data in self._pending:
            file.write(data)
        self._pending.clear()
        self.pending_bytes = 0

    def close(self) -> None:
        self.flush()
        for file in self._open:
            file.close()

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_PARTS:
            raise _invalid(f"The form has more than {_MAX_PARTS} parts.")
        self._disposition, self._file, self._size = b"", None, 0
        self._text = bytearray()

    def _header_end(self) -> None:
        name, value = self._header
        if bytes(name).lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = (bytearray(), bytearray())

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        filename = options.get(b"filename")
        if self._name not in self.allowed:
            shown = self._name[:60]
            raise InputError(
                f"The form has an unknown part {shown!r}.",
                code="unknown_field",
                title="The form has an unknown field",
                errors=[FieldError(shown, f"must be one of {', '.join(sorted(self.allowed))}")],
            )
        if self._name in self.form.fields:
            raise _invalid(f"The form has {self._name!r} twice.", self._name)
        if self.allowed[self._name]:
            if filename is None:
                raise _invalid(
                    f"The part {self._name!r} must be a file with a file name.", self._name
                )
            self._filename = shown_filename(filename.decode("utf-8", "replace"))
            self._file_path = self.folder / f"part-{self._parts}"
            self._file = self._file_path.open("wb")
            self._open.append(self._file)

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._file is not None:
            self._pending.append((self._file, data[start:end]))
            self.pending_bytes += end - start
            return
        if self._size > _MAX_FIELD_BYTES:
            raise _invalid(f"{self._name!r} is longer than {_MAX_FIELD_BYTES:,} bytes.", self._name)
        self._text.extend(data[start:end])

    def _end(self) -> None:
        if self._file is not None:
            file = UploadedFile(self._file_path, self._filename, self._size)
            self.form.files.setdefault(self._name, []).append(file)
            return
        try:
            text = self._text.decode("utf-8")
        except UnicodeDecodeError:
            raise _invalid(f"{self._name!r} is not UTF-8.", self._name) from None
        require_storable(text, self._name)
        self.form.fields[self._name] = text

    def _finished(self) -> None:
        self.ended = True


def _invalid(message: str, location: str = "body") -> InputError:
    return InputError(
        message,
        code="invalid_form",
        title="The form cannot be read",
        errors=[FieldError(location, message)],
    )
