"""The record of a job that trackers get: options, curves, figures, and what identifies its results."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from dealrec.version import __version__

Points = Sequence[tuple[int, float | None]]
"""Steps and values; ``None`` stands for what is no number."""
_TOLD = ("dealrec_version", "size", "sha256", "budget", "dataset", "control")
"""The members of a manifest that fit into a tag; the options are parameters of the record."""


class RunState(StrEnum):
    """How a job ended."""

    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


def unit_of(stage: str) -> str:
    """The unit of the steps of a stage's curves: ``step`` of the optimizer, ``epoch`` or ``round``."""
    return {"surrogate": "epoch", "select": "round"}.get(stage, "step")


@dataclass(frozen=True)
class TrackedStage:
    """A finished stage: what it is called, the unit of its steps, its curves and its figures."""

    name: str
    curves: Mapping[str, Points]
    figures: Mapping[str, float]

    @property
    def unit(self) -> str:
        """The unit of the steps."""
        return unit_of(self.name.partition(".")[0])

    def full_name(self, name: str) -> str:
        """The name of a curve or a figure in trackers, some of which take no ``@``."""
        return f"{self.name}/{name.replace('@', '_at_')}"

    def rows(self) -> list[tuple[int, dict[str, float]]]:
        """The values of all curves by step, each under the name of its curve."""
        found: dict[int, dict[str, float]] = {}
        for name, points in self.curves.items():
            for step, value in points:
                if value is not None:
                    found.setdefault(step, {})[self.full_name(name)] = value
        return sorted(found.items())


@dataclass(frozen=True)
class RunRecord:
    """Everything that a tracker is told of one job."""

    id: str
    """Identifies the job: writing a record again replaces the earlier one of this id."""
    name: str
    state: RunState
    started_at: datetime
    ended_at: datetime
    tags: Mapping[str, str]
    """Hashes, ids and the manifest."""
    parameters: Mapping[str, str]
    """The options, each under its dotted name."""
    stages: Sequence[TrackedStage]

    def figures(self) -> dict[str, float]:
        """The figures of all stages, by their full names."""
        return {
            stage.full_name(name): value
            for stage in self.stages
            for name, value in stage.figures.items()
        }


def record_of(
    identifier: str,
    name: str,
    *,
    kind: str,
    state: RunState,
    times: tuple[datetime, datetime],
    config: Mapping[str, Any],
    stages: Iterable[TrackedStage],
    manifest: Mapping[str, Any] | None = None,
    tags: Mapping[str, str | None] | None = None,
) -> RunRecord:
    """Make a record; ``config`` and ``manifest`` are JSON objects, and tags that are ``None`` are left out.

    Stages of the same name, as a comparison has them, are numbered: ``surrogate``, ``surrogate.1``, ….
    What is no finite number is left out.
    """
    own = {"kind": kind, "version": __version__, **(tags or {})}
    if manifest is not None:
        told = {member: manifest[member] for member in _TOLD if member in manifest}
        own |= {"coreset_sha256": manifest["sha256"], "manifest": json.dumps(told)}
    return RunRecord(
        identifier,
        name,
        state,
        *times,
        tags={tag: value for tag, value in own.items() if value is not None},
        parameters=dict(_flat(config)),
        stages=list(_numbered(stages)),
    )


def _numbered(stages: Iterable[TrackedStage]) -> Iterator[TrackedStage]:
    seen = Counter[str]()
    for stage in stages:
        number = seen[stage.name]
        seen[stage.name] += 1
        name = f"{stage.name}.{number}" if number else stage.name
        figures = {key: value for key, value in stage.figures.items() if math.isfinite(value)}
        curves = {
            key: [(step, value) for step, value in points if _finite(value)]
            for key, points in stage.curves.items()
        }
        yield TrackedStage(name, curves, figures)


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield each option with its dotted name; lists are one value, and what is not set is left out."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{place}.{name}" if place else name)
    elif value is not None:
        yield place, value if isinstance(value, str) else json.dumps(value)
