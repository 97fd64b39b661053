"""Fills pages from the code when the site is built: operations, settings, states."""

from collections.abc import Callable, Mapping, Set
from enum import StrEnum
from typing import Any

from dealrec.app.main import create_app
from dealrec.app.settings import Settings
from dealrec.app.stages.transitions import JOB_MOVES, STAGE_MOVES
from dealrec.config.stages import STAGES, StageName

_METHODS = ("get", "post", "put", "patch", "delete")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs calls this for every page."""
    for mark, made in _MADE.items():
        if mark in markdown:
            markdown = markdown.replace(mark, made())
    return markdown


def operations() -> str:
    """Every operation of the OpenAPI document: what it does, takes and answers."""
    document = create_app().openapi()
    shared = document["components"].get("parameters", {})
    groups: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                operation = item[method]
                groups.setdefault(operation.get("tags", ["other"])[0], []).append(
                    _operation(method, path, operation, shared)
                )
    return "\n\n".join(
        f"## {tag.capitalize()}\n\n" + "\n\n".join(rows) for tag, rows in groups.items()
    )


def _operation(
    method: str, path: str, operation: dict[str, Any], shared: dict[str, dict[str, Any]]
) -> str:
    """``shared`` parameters are those that operations refer to by name."""
    lines = [f"### `{method.upper()} {path}`", "", operation.get("description", "")]
    found = [
        shared[given["$ref"].rsplit("/", 1)[-1]] if "$ref" in given else given
        for given in operation.get("parameters", [])
    ]
    parameters = [
        f"| `{given['name']}` | {given['in']} | {_type(given['schema'])} |"
        for given in found
        if given["in"] != "path"
    ]
    if parameters:
        lines += ["", "| parameter | in | type |", "|---|---|---|", *parameters]
    bodies = operation.get("requestBody", {}).get("content", {})
    if bodies:
        lines += ["", "Body: " + ", ".join(f"`{kind}` {_name(bodies[kind])}" for kind in bodies)]
    answers = []
    for status, answer in operation["responses"].items():
        kinds = answer.get("content", {})
        named = sorted({_name(kind) for kind in kinds.values()} - {""})
        answers.append(f"`{status}`" + (f" {', '.join(named)}" if named else ""))
    return "\n".join([*lines, "", "Answers: " + " · ".join(answers)])


def _name(content: dict[str, Any]) -> str:
    reference: str = content.get("schema", {}).get("$ref", "")
    return reference.rsplit("/", 1)[-1]


def _type(schema: dict[str, Any]) -> str:
    options = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    named = [one.get("type") or one.get("$ref", "").rsplit("/", 1)[-1] for one in options]
    default = schema.get("default")
    return " or ".join(named) + ("" if default is None else f", default `{default}`")


def settings() -> str:
    """Every setting with its default."""
    rows = ["| variable | default | what |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "–" if field.default is None else f"`{field.default}`"
        words = " ".join((field.description or "").replace("``", "`").split()).replace("|", "\\|")
        rows.append(f"| `DEALREC_{name.upper()}` | {default} | {words} |")
    return "\n".join(rows)


_UNITS = {
    StageName.INGEST: "interaction",
    StageName.AUDIT: "interaction",
    StageName.SURROGATE: "training interaction and epoch",
    StageName.INFLUENCE: "sample, validation sample or example of the curvature, and item of the catalogue",
    StageName.DIFFICULTY: "sample and item of the catalogue",
    StageName.EMBEDDING: "sample",
    StageName.EFFORT: "sample",
    StageName.GRADIENTS: "sample and validation sample",
    StageName.IFD: "sample",
    StageName.SELECT: "sample",
    StageName.FINETUNE: "sample of the coreset and epoch",
    StageName.EVALUATE: "text that held-out users are asked about, with and without the adapter",
    StageName.HEADROOM: "text that is read in trainings on all samples",
    StageName.COMPARE: "text that is read in all trainings and measurements",
}


def costs() -> str:
    """Every stage with its rate on the reference machine."""
    rows = ["| stage | where | seconds | for each |", "|---|---|---|---|"]
    for name, spec in STAGES.items():
        seconds = f"{spec.reference_seconds:.2g}"
        rows.append(f"| {spec.title} | `{spec.queue.value}` | {seconds} | {_UNITS[name]} |")
    return "\n".join(rows)


def states(moves: Mapping[Any, Set[StrEnum]]) -> str:
    """Every state with those that may follow it."""
    rows = ["| state | may become |", "|---|---|"]
    for state, following in moves.items():
        names = ", ".join(f"`{one.value}`" for one in type(state) if one in following)
        rows.append(f"| `{state.value}` | {names or 'nothing: the end'} |")
    return "\n".join(rows)


_MADE: dict[str, Callable[[], str]] = {
    "<!-- operations -->": operations,
    "<!-- settings -->": settings,
    "<!-- stage costs -->": costs,
    "<!-- job states -->": lambda: states(JOB_MOVES),
    "<!-- stage states -->": lambda: states(STAGE_MOVES),
}
