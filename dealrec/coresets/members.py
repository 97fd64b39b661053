"""The texts of a coreset's members: as columns of ``members.parquet``, and from there."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.config.prompt import PromptFormat
from dealrec.data.prompts import Message, PromptedSample, Role
from dealrec.errors import FieldError, InputError

_FIELDS = ("instruction", "input", "output")
_ROWS = 1024
_TEXT = "text"
"""The column of the whole record, where the three fields do not say it all."""
TEXTS = (*_FIELDS, _TEXT)
"""The columns of members that are texts, of which ``text`` may be missing."""
_TURN = pa.struct({"role": pa.string(), "content": pa.string()})
_PARTS = ("before", "history", "after", "output", "gap")
_RECORD = pa.struct({**dict.fromkeys(_PARTS, pa.string()), "earlier": pa.list_(_TURN)})


def text_columns(samples: Sequence[PromptedSample]) -> dict[str, pa.Array]:
    """Make the columns ``instruction``, ``input`` and ``output``.

    Beside them ``text`` holds the parts of every sample, unless all samples are
    :meth:`~dealrec.data.prompts.PromptedSample.plain` ones, which the three columns say completely.
    """
    columns = {
        name: pa.array([getattr(sample, name) for sample in samples], pa.string())
        for name in _FIELDS
    }
    if not all(map(_is_plain, samples)):
        columns[_TEXT] = pa.array([_record(sample) for sample in samples], _RECORD)
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


def _record(sample: PromptedSample) -> dict[str, Any]:
    turns = [{"role": turn.role.value, "content": turn.content} for turn in sample.earlier]
    return {**{name: getattr(sample, name) for name in _PARTS}, "earlier": turns}


def _sample(row: dict[str, Any]) -> PromptedSample:
    if _TEXT not in row:
        return PromptedSample.plain(*(row[name] for name in _FIELDS))
    parts = row[_TEXT]
    turns = (Message(Role(turn["role"]), turn["content"]) for turn in parts.pop("earlier"))
    return PromptedSample(**parts, earlier=tuple(turns))


def read_examples(path: Path) -> list[PromptedSample]:
    """Read the texts ``instruction``, ``input`` and ``output`` of a file: JSON Lines, or one JSON array.

    ``input`` may be missing or null, and is empty then. A mark of byte order is left out.

    Raises:
        InputError: ``invalid_coreset`` when the file cannot be read, holds no samples, or has another
            kind of object, which the error names; ``empty_answers`` when there is nothing to learn from
            in an ``output``.
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
            f"{len(empty):,} of the {len(rows):,} samples in {path.name} have an empty `output`, from "
            f"which nothing can be learned. The first is {what.lower()} {empty[0]}. Remove them.",
            code="empty_answers",
            errors=[
                FieldError(f"{path.name}:{number}", "`output` is empty") for number in empty[:10]
            ],
        )
    return examples


def _array(text: str, path: Path) -> list[tuple[int, object]]:
    try:
        return list(enumerate(json.loads(text), start=1))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON array: {error}", code="invalid_coreset") from None


def _example(row: object, place: str) -> PromptedSample:
    """Make a sample of an object, or of the text of one."""
    found: Any = row
    try:
        found = json.loads(row) if isinstance(row, str) else row
        texts = [found["instruction"], found.get("input") or "", found["output"]]
        if not all(isinstance(text, str) for text in texts):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        fields = f" Its fields are: {', '.join(found)}." if isinstance(found, dict) else ""
        raise InputError(
            f"{place} is not a JSON object with the texts {', '.join(_FIELDS)}.{fields}",
            code="invalid_coreset",
            errors=[FieldError(place, "not a sample")],
        ) from None
    return PromptedSample.plain(*texts)
