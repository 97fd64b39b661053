"""The file formats in which coresets are exported."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from dealrec.coresets.cells import shown
from dealrec.coresets.members import member_samples
from dealrec.coresets.rows import (
    alpaca_row,
    conversational_row,
    messages_row,
    pair_row,
    sharegpt_row,
)
from dealrec.data.prompts import PromptedSample

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
    """A JSON array of ``{instruction, input, output}``."""
    MESSAGES = "messages"
    """JSON Lines of ``{messages: [{role, content}]}``, which chat fine-tuning APIs take."""
    PROMPT_COMPLETION = "prompt_completion"
    """JSON Lines of ``{prompt, completion}`` (TRL): the text that a model reads without a chat template."""
    CONVERSATIONAL = "conversational"
    """JSON Lines of ``{prompt, completion}``, both lists of ``{role, content}`` (TRL)."""
    SHAREGPT = "sharegpt"
    """A JSON array of ``{conversations: [{from, value}]}``, with ``human`` and ``gpt``."""
    HUGGINGFACE = "huggingface"
    """A folder that ``datasets.load_dataset`` opens, with a card; as a file it is a zip of it."""

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES.get(self, "application/x-ndjson")

    @property
    def suffix(self) -> str:
        """The end of a file's name, with its dot."""
        return _SUFFIXES.get(self, ".jsonl")

    @property
    def label(self) -> str:
        """The name that people read."""
        return _LABELS[self]

    @property
    def for_training(self) -> bool:
        """Whether trainers read it, so that configurations of theirs go with it."""
        return self not in (CoresetFormat.JSONL, CoresetFormat.PARQUET, CoresetFormat.CSV)

    @property
    def is_folder(self) -> bool:
        return self is CoresetFormat.HUGGINGFACE


_LABELS = {
    CoresetFormat.JSONL: "JSON Lines",
    CoresetFormat.PARQUET: "Parquet",
    CoresetFormat.CSV: "CSV",
    CoresetFormat.ALPACA: "Alpaca",
    CoresetFormat.MESSAGES: "Messages (chat fine-tuning APIs)",
    CoresetFormat.PROMPT_COMPLETION: "Prompt and completion (TRL)",
    CoresetFormat.CONVERSATIONAL: "Conversational (TRL)",
    CoresetFormat.SHAREGPT: "ShareGPT",
    CoresetFormat.HUGGINGFACE: "Hugging Face data set",
}
_MEDIA_TYPES = {
    CoresetFormat.PARQUET: "application/vnd.apache.parquet",
    CoresetFormat.CSV: "text/csv",
    CoresetFormat.ALPACA: "application/json",
    CoresetFormat.SHAREGPT: "application/json",
    CoresetFormat.HUGGINGFACE: "application/zip",
}
_SUFFIXES = {
    CoresetFormat.PARQUET: ".parquet",
    CoresetFormat.CSV: ".csv",
    CoresetFormat.ALPACA: ".json",
    CoresetFormat.SHAREGPT: ".json",
    CoresetFormat.HUGGINGFACE: ".zip",
}
_LINES: Mapping[CoresetFormat, Callable[[PromptedSample], object]] = {
    CoresetFormat.MESSAGES: messages_row,
    CoresetFormat.PROMPT_COMPLETION: pair_row,
    CoresetFormat.CONVERSATIONAL: conversational_row,
}
_ARRAYS: Mapping[CoresetFormat, Callable[[PromptedSample], object]] = {
    CoresetFormat.ALPACA: alpaca_row,
    CoresetFormat.SHAREGPT: sharegpt_row,
}


def write_format(members: Path, format: CoresetFormat, out: BinaryIO) -> None:  # noqa: A002
    """Write the coreset in ``members`` (a ``members.parquet``) to ``out``, with the same bytes each time."""
    for chunk in format_chunks(members, format):
        out.write(chunk)


def format_chunks(members: Path, format: CoresetFormat) -> Iterator[bytes]:  # noqa: A002
    """Iterate over the bytes that :func:`write_format` writes, piece by piece.

    A folder has no bytes of its own: see :func:`dealrec.coresets.exports.write_export`.
    """
    if format in _LINES:
        yield from _lines(map(_LINES[format], member_samples(members)))
    elif format in _ARRAYS:
        yield from _array(map(_ARRAYS[format], member_samples(members)))
    elif format is CoresetFormat.JSONL:
        yield from _lines(_rows(members))
    elif format is CoresetFormat.CSV:
        yield from _csv(members)
    elif format is CoresetFormat.PARQUET:
        with members.open("rb") as file:
            while chunk := file.read(2**20):
                yield chunk
    else:
        raise ValueError("a folder is not written as one file")


def _lines(rows: Iterable[Any]) -> Iterator[bytes]:
    for row in rows:
        yield (json.dumps(row, ensure_ascii=False) + "\n").encode()


def _array(rows: Iterable[Any]) -> Iterator[bytes]:
    yield b"["
    for number, row in enumerate(rows):
        yield (",\n " if number else "\n ").encode()
        yield json.dumps(row, ensure_ascii=False).encode()
    yield b"\n]\n"


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


def _rows(members: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(members) as file:
        for batch in file.iter_batches(_ROWS):
            yield from batch.to_pylist()
