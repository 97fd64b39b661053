"""Every predictor on every surrogate, several at a time."""

import dataclasses
import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import NamedTuple

from dealrec.config.runtime import Runtime
from dealrec.data.samples import Samples
from dealrec.influence.examples import Examples
from dealrec.influence.fidelity.halves import Bools
from dealrec.influence.fidelity.intervals import Floats
from dealrec.influence.fidelity.predictors import Predictor, averaged, predict
from dealrec.progress import Reporter
from dealrec.runtime import apply_runtime
from dealrec.surrogates.interface import Surrogate


@dataclass(frozen=True)
class Asked:
    """What is predicted, and from what."""

    predictors: tuple[Predictor, ...]
    surrogates: tuple[Surrogate, ...]
    """Trained on all users."""
    samples: Samples
    members: Bools
    """[H, U], who is in each half."""
    queries: tuple[Examples, ...]


class _Task(NamedTuple):
    """One predictor on one surrogate."""

    predictor: int
    surrogate: int


def run_predictions(
    asked: Asked, processes: int, reporter: Reporter
) -> dict[str, tuple[Floats, ...]]:
    """By name of a predictor, for each set of queries [Q, H], the mean over surrogates.

    Predictors that differ in nothing but their names are computed once. ``processes`` work at a time,
    on one thread each.
    """
    known: dict[str, int] = {}
    same = [known.setdefault(_key(one), place) for place, one in enumerate(asked.predictors)]
    tasks = [
        _Task(predictor, surrogate)
        for predictor in known.values()
        for surrogate in range(len(asked.surrogates))
    ]
    total, done = len(tasks) * len(asked.members), 0

    def tick() -> None:
        nonlocal done
        done += 1
        reporter.progress(done, total, "half")

    reporter.progress(0, total, "half")
    found = dict(_finished(asked, tasks, processes, tick))
    names = [one.name for one in asked.predictors]
    return {
        name: tuple(
            averaged([found[_Task(first, one)][place] for one in range(len(asked.surrogates))])
            for place in range(len(asked.queries))
        )
        for name, first in zip(names, same, strict=True)
    }


def _key(predictor: Predictor) -> str:
    fields = dataclasses.asdict(predictor) | {"name": None}
    return json.dumps(fields | {"config": predictor.config.model_dump(mode="json")})


def _finished(
    asked: Asked, tasks: Sequence[_Task], processes: int, tick: Callable[[], None]
) -> Iterator[tuple[_Task, list[Floats]]]:
    if processes == 1 or len(tasks) < 2:
        for task in tasks:
            yield task, _predict(asked, task, tick)
        return
    pool = ProcessPoolExecutor(
        min(processes, len(tasks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_open,
        initargs=(asked,),
    )
    try:
        futures = {pool.submit(_predict_here, task): task for task in tasks}
        for future in as_completed(futures):
            yield futures[future], future.result()
            for _ in asked.members:
                tick()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _predict(asked: Asked, task: _Task, tick: Callable[[], None]) -> list[Floats]:
    return predict(
        asked.predictors[task.predictor],
        asked.surrogates[task.surrogate],
        asked.samples,
        asked.members,
        asked.queries,
        tick,
    )


_opened: list[Asked] = []
"""What a process of the pool works on: one entry, set when the process starts."""


def _open(asked: Asked) -> None:
    apply_runtime(Runtime(threads=1, device="cpu"))
    _opened[:] = [asked]


def _predict_here(task: _Task) -> list[Floats]:
    (asked,) = _opened
    return _predict(asked, task, lambda: None)
