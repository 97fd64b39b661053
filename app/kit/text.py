"""Checks on text from outside before it is stored."""

import re
from itertools import takewhile
from typing import Any

from dealrec.errors import FieldError, InputError

_NAME_CHARACTERS = 200
_DEEPEST = 32
"""The most levels of lists and objects; no request needs more than five."""


def require_storable(value: Any, location: str = "", depth: int = 0) -> None:
    """Refuse a ``value`` that nests too deeply, or holds a text that no database can store.

    PostgreSQL cannot store U+0000, and lone surrogates are not UTF-8. Raises :class:`InputError`
    (``invalid_text``, ``nested_too_deeply``) with the place.
    """
    if depth > _DEEPEST:
        raise InputError(
            f"The value has more than {_DEEPEST} levels of lists and objects.",
            code="nested_too_deeply",
            title="A value is nested too deeply",
            errors=[FieldError(location[:100], f"has more than {_DEEPEST} levels")],
        )
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise InputError(
                (
                    "A text contains a character that cannot be stored (U+0000 or half of a surrogate "
                    "pair). Remove it."
                ),
                code="invalid_text",
                title="A text cannot be stored",
                errors=[
                    FieldError(
                        location,
                        "contains a character that cannot be stored",
                    )
                ],
            )
    elif isinstance(value, dict):
        for key, inner in value.items():
            require_storable(key, location)
            require_storable(inner, f"{location}.{key}".strip("."), depth + 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            require_storable(inner, f"{location}.{index}".strip("."), depth + 1)


def shown_filename(name: str) -> str:
    """Reduce a file's name to its last 200 printable characters, without folders.

    Folders that say partitions, such as ``day=2020-09-13``, stay where there is room.
    """
    *folders, last = ("".join(filter(str.isprintable, part)) for part in re.split(r"[/\\]", name))
    last = last[-_NAME_CHARACTERS:] or "file"
    partitions = [*takewhile(lambda folder: "=" in folder, reversed(folders))][::-1]
    whole = "/".join([*partitions, last])
    return whole if len(whole) <= _NAME_CHARACTERS else last
