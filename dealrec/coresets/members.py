"""Reads the members of a coreset."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from dealrec.data.prompts import PromptedSample
from dealrec.errors import FieldError, InputError

_FIELDS = ("instruction", "input", "output")


def read_members(members: Path) -> list[PromptedSample]:
    """Read the texts of a ``members.parquet`` in its order."""
    table = pq.read_table(members, columns=list(_FIELDS))
    return [PromptedSample(**row) for row in table.to_pylist()]


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
    return PromptedSample(*texts)
