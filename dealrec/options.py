"""Options of commands that are more than a word: configuration files and assignments."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from dealrec.errors import FieldError, InputError

JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON for machines.")]
ConfigOption = Annotated[Path | None, typer.Option(help="JSON file with the configuration.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One option, e.g. selection.strata=25."),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(metavar="OURS=THEIRS", help="A column that the file calls otherwise."),
]


def configuration(path: Path | None, assignments: Sequence[str]) -> dict[str, Any]:
    """The configuration file's object with ``--set`` assignments applied over it.

    Raises :class:`InputError`: ``invalid_json``, ``invalid_option``.
    """
    settings: dict[str, Any] = {}
    if path is not None:
        try:
            loaded = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path} cannot be read as JSON: {error}", code="invalid_json"
            ) from None
        if not isinstance(loaded, dict):
            raise InputError(f"{path} holds no JSON object.", code="invalid_json")
        settings = loaded
    for assignment in assignments:
        key, text = pair(assignment, "--set")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        *parents, last = key.split(".")
        place = settings
        for parent in parents:
            inner = place.get(parent)
            place[parent] = dict(inner) if isinstance(inner, Mapping) else {}
            place = place[parent]
        place[last] = value
    return settings


def pair(text: str, option: str) -> tuple[str, str]:
    """``NAME=VALUE`` as two.

    Raises :class:`InputError` (``invalid_option``).
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(
            f"{option} takes NAME=VALUE, not {text!r}.",
            code="invalid_option",
            errors=[FieldError(option, "no `=` in it")],
        )
    return name, value
