"""Fills pages from the code when the site is built: settings, costs, states."""

from collections.abc import Callable, Mapping, Set
from enum import StrEnum
from typing import Any

from dealrec.app.settings import Settings
from dealrec.app.stages.transitions import JOB_MOVES, STAGE_MOVES
from dealrec.config.stages import STAGES, StageName


def on_page_markdown(markdown: str, **_: Any) -> str:
    """MkDocs calls this for every page."""
    for mark, made in _MADE.items():
        if mark in markdown:
            markdown = markdown.replace(mark, made())
    return markdown


def settings() -> str:
    """Every setting with its default."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
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
    StageName.EMBEDDING: "sample that a language model reads; a vector of the surrogate takes a thousandth",
    StageName.EFFORT: "sample",
    StageName.GRADIENTS: "sample and validation sample",
    StageName.IFD: "sample",
    StageName.TITLES: "five items of the catalogue",
    StageName.SELECT: "sample, and for `metagradient` 900 for each step of its trainings",
    StageName.FINETUNE: "sample of the coreset and epoch",
    StageName.EVALUATE: "text that is evaluated for held-out users, with and without the adapter",
    StageName.HEADROOM: "text that is read in the trainings on all samples",
    StageName.COMPARE: "text that is read in all trainings and evaluations",
}


def costs() -> str:
    """Every stage with its rate on the reference machine."""
    rows = ["| stage | queue | seconds | for each |", "|---|---|---|---|"]
    for name, spec in STAGES.items():
        seconds = f"{spec.reference_seconds:.2g}"
        rows.append(f"| {spec.title} | `{spec.queue.value}` | {seconds} | {_UNITS[name]} |")
    return "\n".join(rows)


def states(moves: Mapping[Any, Set[StrEnum]]) -> str:
    """Every state with those that may follow it."""
    rows = ["| state | may become |", "|---|---|"]
    for state, following in moves.items():
        names = ", ".join(f"`{one.value}`" for one in type(state) if one in following)
        rows.append(f"| `{state.value}` | {names or 'none (final state)'} |")
    return "\n".join(rows)


_MADE: dict[str, Callable[[], str]] = {
    "<!-- settings -->": settings,
    "<!-- stage costs -->": costs,
    "<!-- job states -->": lambda: states(JOB_MOVES),
    "<!-- stage states -->": lambda: states(STAGE_MOVES),
}
