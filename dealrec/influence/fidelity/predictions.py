"""Applies every predictor to every surrogate, several at a time."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dealrec.data.samples import Samples
from dealrec.influence.examples import Examples
from dealrec.influence.fidelity.halves import Bools
from dealrec.influence.fidelity.intervals import Floats
from dealrec.influence.fidelity.predictors import Predictor, averaged, predict
from dealrec.influence.fidelity.processes import run_in_processes
from dealrec.progress import Reporter
from dealrec.surrogates.interface import Surrogate


@dataclass(frozen=True)
class PredictionInputs:
    """The predictors, and everything their predictions depend on."""

    predictors: tuple[Predictor, ...]
    surrogates: tuple[Surrogate, ...]
    """The models that were trained on all users."""
    samples: Samples
    members: Bools
    """[H, U] whether a user is in each half."""
    queries: tuple[Examples, ...]
    """The sets of examples whose losses are predicted."""


class _Task(NamedTuple):
    """One predictor on one surrogate."""

    predictor: int
    surrogate: int


def run_predictions(
    inputs: PredictionInputs, processes: int, reporter: Reporter
) -> dict[str, tuple[Floats, ...]]:
    """Return each predictor's [Q, H] predictions, by its name, for each set of queries.

    The predictions are means over the surrogates. Predictors that differ in their names alone are
    computed once. ``processes`` run at a time, on one thread each.
    """
    known: dict[str, int] = {}
    same = [known.setdefault(_key(one), place) for place, one in enumerate(inputs.predictors)]
    tasks = [
        _Task(predictor, surrogate)
        for predictor in known.values()
        for surrogate in range(len(inputs.surrogates))
    ]
    total, done = len(tasks) * len(inputs.members), 0

    def tick() -> None:
        nonlocal done
        done += 1
        reporter.progress(done, total, "half")

    reporter.progress(0, total, "half")
    found = dict(_finished(inputs, tasks, processes, tick))
    names = [one.name for one in inputs.predictors]
    return {
        name: tuple(
            averaged([found[_Task(first, one)][place] for one in range(len(inputs.surrogates))])
            for place in range(len(inputs.queries))
        )
        for name, first in zip(names, same, strict=True)
    }


def _key(predictor: Predictor) -> str:
    """Return everything of a predictor but its name."""
    fields = dataclasses.asdict(predictor) | {"name": None}
    return json.dumps(fields | {"config": predictor.config.model_dump(mode="json")})


def _finished(
    inputs: PredictionInputs, tasks: Sequence[_Task], processes: int, tick: Callable[[], None]
) -> Iterator[tuple[_Task, list[Floats]]]:
    """Yield each task with its predictions; ``tick`` after each half, or for all halves of a task."""
    if processes == 1 or len(tasks) < 2:
        for task in tasks:
            yield task, _predict(inputs, task, tick)
        return
    for finished in run_in_processes(_predict, inputs, tasks, processes):
        yield finished
        for _ in inputs.members:
            tick()


def _predict(
    inputs: PredictionInputs, task: _Task, tick: Callable[[], None] = lambda: None
) -> list[Floats]:
    return predict(
        inputs.predictors[task.predictor],
        inputs.surrogates[task.surrogate],
        inputs.samples,
        inputs.members,
        inputs.queries,
        tick,
    )
