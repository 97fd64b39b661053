"""The texts of a coreset's members: as columns of ``members.parquet``, and from there."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.config.prompt import PromptFormat
from dealrec.data.prompts import PromptedSample
from dealrec.data.texts import TEXT, recorded_sample, sample_of_row, text_record
from dealrec.errors import FieldError, InputError

_FIELDS = ("instruction", "input", "output")
_ROWS = 1024
_TEXT = "text"
"""The column of the whole record, where the three fields do not say it all."""
TEXTS = (*_FIELDS, _TEXT)
"""The columns of members that are texts, of which ``text`` may be missing."""


def text_columns(samples: Sequence[PromptedSample], *, whole: bool = False) -> dict[str, pa.Array]:
    """Make the columns ``instruction``, ``input`` and ``output``.

    Beside them ``text`` holds the parts of every sample, where ``whole`` is asked for or a sample is no
    :meth:`~dealrec.data.prompts.PromptedSample.plain` one, which the three columns say completely.
    """
    columns = {
        name: pa.array([getattr(sample, name) for sample in samples], pa.string())
        for name in _FIELDS
    }
    if whole or not all(map(_is_plain, samples)):
        columns[_TEXT] = pa.array([text_record(sample) for sample in samples], TEXT)
    return columns


def read_members(
    members: Path,
    format: PromptFormat = PromptFormat.AUTO,  # noqa: A002
) -> list[PromptedSample]:
    """Read the texts of a ``members.parquet`` in its order; ``format`` is that of its prompt."""
    return [replace(sample, format=format) for sample in member_samples(members)]


def member_samples(members: Path) -> Iterator[PromptedSample]:
    """Iterate over the texts of a ``members.parquet`` in its order, a part of the file at a time."""
    with pq.ParquetFile(members) as file:
        names = [name for name in TEXTS if name in file.schema_arrow.names]
        for batch in file.iter_batches(_ROWS, columns=names):
            yield from samples_of(batch)


def samples_of(members: pa.RecordBatch) -> Iterator[PromptedSample]:
    """Iterate over the texts of some members."""
    names = [_TEXT] if _TEXT in members.schema.names else list(_FIELDS)
    yield from map(_sample, members.select(names).to_pylist())


def _is_plain(sample: PromptedSample) -> bool:
    plain = PromptedSample.plain(sample.instruction, sample.input, sample.output)
    return replace(plain, format=sample.format) == sample


def _sample(row: dict[str, Any]) -> PromptedSample:
    if _TEXT not in row:
        return PromptedSample.plain(*(row[name] for name in _FIELDS))
    return recorded_sample(row[_TEXT])


def read_examples(path: Path) -> list[PromptedSample]:
    """Read the texts of a file in the shapes of :func:`~dealrec.data.texts.sample_of_row`.

    The file is JSON Lines, or one JSON array. A mark of byte order is left out.

    Raises:
        InputError: ``invalid_coreset`` when the file cannot be read, holds no samples, or has another
            kind of object, which the error names; ``empty_answers`` when an answer is empty.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}", code="invalid_coreset") from None
    if text.lstrip().startswith("["):
        rows, what = _array(text, path), "Object"
    else:
        lines = enumerate(text.split("\n"), start=1)
        rows, what = [(number, line) for number, line in lines if line.strip()], "Line"
    examples = [_example(row, f"{what} {number} of {path.name}") for number, row in rows]
    if not examples:
        raise InputError(f"{path} holds no samples.", code="invalid_coreset")
    empty = [
        number
        for (number, _), example in zip(rows, examples, strict=True)
        if not example.output.strip()
    ]
    if empty:
        raise InputError(
            f"{len(empty):,} of the {len(rows):,} samples in {path.name} have an empty answer, from "
            f"which nothing can be learned. The first is {what.lower()} {empty[0]}. Remove these "
            "samples.",
            code="empty_answers",
            errors=[
                FieldError(f"{path.name}:{number}", "the answer is empty") for number in empty[:10]
            ],
        )
    return examples


def _array(text: str, path: Path) -> list[tuple[int, object]]:
    try:
        return list(enumerate(json.loads(text), start=1))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not a JSON array: {error}", code="invalid_coreset") from None


def _example(row: object, place: str) -> PromptedSample:
    """Make a sample of an object, or of the text of one."""
    found: Any = row
    try:
        found = json.loads(row) if isinstance(row, str) else row
        return sample_of_row(found)
    except (ValueError, TypeError, AttributeError, RecursionError):
        fields = f" It has the fields {', '.join(found)}." if isinstance(found, dict) else ""
        raise InputError(
            f"{place} is not a JSON object with `instruction` and `output`, with `prompt` and "
            "`completion`, or with `messages` that end with a user turn and an assistant "
            f"turn.{fields}",
            code="invalid_coreset",
            errors=[FieldError(place, "is not a sample")],
        ) from None
