"""The file formats in which coresets are exported."""

import csv
import io
import json
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from dealrec.coresets.cells import shown

_ROWS = 1024


class CoresetFormat(StrEnum):
    """A file format of coresets."""

    JSONL = "jsonl"
    """One JSON object a sample, with its scores."""
    PARQUET = "parquet"
    CSV = "csv"
    """The cell ``history`` is a JSON list of item ids; texts are safe for spreadsheets
    (:mod:`dealrec.coresets.cells`)."""
    ALPACA = "alpaca"
    """A JSON array of ``{instruction, input, output}``, which fine-tuning tools read."""

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES[self]

    @property
    def suffix(self) -> str:
        return ".json" if self is CoresetFormat.ALPACA else f".{self.value}"


_MEDIA_TYPES = {
    CoresetFormat.JSONL: "application/jsonl",
    CoresetFormat.PARQUET: "application/vnd.apache.parquet",
    CoresetFormat.CSV: "text/csv; charset=utf-8",
    CoresetFormat.ALPACA: "application/json",
}


def write_format(members: Path, format: CoresetFormat, out: BinaryIO) -> None:  # noqa: A002
    """Write the coreset in ``members`` (a ``members.parquet``) to ``out``, with the same bytes each time."""
    for chunk in format_chunks(members, format):
        out.write(chunk)


def format_chunks(members: Path, format: CoresetFormat) -> Iterator[bytes]:  # noqa: A002
    """Iterate over the bytes that :func:`write_format` writes, piece by piece."""
    match format:
        case CoresetFormat.PARQUET:
            with members.open("rb") as file:
                while chunk := file.read(2**20):
                    yield chunk
        case CoresetFormat.JSONL:
            for row in _rows(members):
                yield (json.dumps(row, ensure_ascii=False) + "\n").encode()
        case CoresetFormat.ALPACA:
            yield b"["
            for number, row in enumerate(_rows(members, ["instruction", "input", "output"])):
                yield (",\n " if number else "\n ").encode()
                yield json.dumps(row, ensure_ascii=False).encode()
            yield b"\n]\n"
        case CoresetFormat.CSV:
            yield from _csv(members)


def _csv(members: Path) -> Iterator[bytes]:
    names = pq.read_schema(members).names
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    for row in _rows(members):
        row["history"] = json.dumps(row["history"], ensure_ascii=False)
        cells = ("" if row[name] is None else row[name] for name in names)
        writer.writerow([shown(cell) if isinstance(cell, str) else cell for cell in cells])
        if buffer.tell() > 2**16:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


def _rows(members: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(members) as file:
        for batch in file.iter_batches(_ROWS, columns=columns):
            yield from batch.to_pylist()
