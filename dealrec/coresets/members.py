"""Reads the members of a coreset."""

import json
from pathlib import Path

import pyarrow.parquet as pq

from dealrec.data.prompts import PromptedSample
from dealrec.errors import FieldError, InputError

_FIELDS = ("instruction", "input", "output")


def read_members(members: Path) -> list[PromptedSample]:
    """Read the texts of a ``members.parquet`` in its order."""
    table = pq.read_table(members, columns=list(_FIELDS))
    return [PromptedSample(**row) for row in table.to_pylist()]


def read_examples(path: Path) -> list[PromptedSample]:
    """Read a JSON Lines file with the texts ``instruction``, ``input`` and ``output`` in each object.

    Raises:
        InputError: ``invalid_coreset`` when the file cannot be read, holds no samples, or has another
            kind of line, which the error names.
    """
    examples = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    examples.append(_example(line, path.name, number))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}", code="invalid_coreset") from None
    if not examples:
        raise InputError(f"{path} holds no samples.", code="invalid_coreset")
    return examples


def _example(line: str, name: str, number: int) -> PromptedSample:
    try:
        row = json.loads(line)
        texts = {field: row[field] for field in _FIELDS}
        if not all(isinstance(text, str) for text in texts.values()):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"Line {number} of {name} is not a JSON object with the texts {', '.join(_FIELDS)}.",
            code="invalid_coreset",
            errors=[FieldError(f"{name}:{number}", "not a sample")],
        ) from None
    return PromptedSample(**texts)
