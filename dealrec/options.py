"""Options of commands that are more than a word: configuration files and assignments."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from dealrec.config import parse_budget
from dealrec.config.comparison import Scale
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

BudgetsOption = Annotated[str, typer.Option(help="Counts or fractions, by commas: 256,1024.")]
SelectorsOption = Annotated[
    str, typer.Option(help="Names by commas; random selection is always added.")
]
SeedsOption = Annotated[int, typer.Option(min=2, help="Runs of each selector.")]
FullDataRunsOption = Annotated[
    int, typer.Option(min=0, help="Trainings on all samples; 0 extrapolates their cost.")
]
ScaleOption = Annotated[
    Scale, typer.Option(help="smoke: minutes on a CPU; full: every layer, many users.")
]
COMPARED = "dealrec,stratified_random"
"""Where ``--selectors`` is not given."""


def comparison(budget: str, selectors: str, **options: Any) -> dict[str, Any]:
    """What a command was asked to compare, as :class:`~dealrec.config.ComparisonConfig` takes it.

    Raises :class:`InputError` (``invalid_budget``).
    """
    budgets = [parse_budget(text) for text in _listed(budget)]
    return {"budgets": budgets, "selectors": _listed(selectors), **options}


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


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
