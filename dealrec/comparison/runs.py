"""The runs of a comparison: each is planned in the configuration, selected, trained and measured."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dealrec.comparison.kept_selections import KeptSelection, KeptSelections
from dealrec.config import FinetuneConfig
from dealrec.config.compared import ALL_DATA, EXCHANGED
from dealrec.config.comparison import ComparisonConfig, PlannedRun
from dealrec.config.stages.select import training_steps
from dealrec.finetune.schedule import Schedule
from dealrec.progress import SILENT, Reporter, Silent
from dealrec.recommenders.interface import Measurement
from dealrec.selection.interface import Scores
from dealrec.selection.select import member_sha256, select

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SelectedRun:
    """A planned run with the samples that its selector selected."""

    selector: str
    budget: int
    number: int
    selection_seed: int
    finetune: FinetuneConfig
    indices: Indices
    sha256: str
    """The coreset's hash."""
    seconds: float
    """How long the selection took."""
    exchanged: bool = False
    """Whether histories are exchanged between the samples before the training."""

    @property
    def steps(self) -> int:
        """The number of optimizer steps of its training."""
        return Schedule(self.finetune, len(self.indices)).steps


@dataclass(frozen=True)
class TrainedRun:
    """A selected run whose adapter was trained and measured on held-out users."""

    selected: SelectedRun
    measurement: Measurement
    train_loss: float
    """The mean training loss over the steps of the last epoch."""
    steps: int
    tokens: int
    """The number of tokens read over all epochs."""
    seconds: float
    """How long the training took, without computing the states of frozen layers beforehand."""


def select_runs(
    keys: Sequence[str],
    scores: Callable[[int], Scores],
    config: ComparisonConfig,
    *,
    budgets: Sequence[int],
    curve: Sequence[int] = (),
    kept: KeptSelections | None = None,
    reporter: Reporter = SILENT,
) -> list[SelectedRun]:
    """Select the samples of every run. The runs on all data come last.

    Args:
        keys: The keys of the samples, in dense order.
        scores: Loads the scores that the selectors use in a run. Each run has its own surrogate.
        config: Resolved.
        budgets: Its budgets in samples, in its order.
        curve: The budgets of its curve in samples.
        kept: Selections in it are not made again, and new ones are added to it.
        reporter: Gets progress in the unit ``selection`` or, if a selector trains, in ``selection step``:
            each step of these trainings counts, and each other selection counts as one.

    Raises:
        InputError: As the selectors.
        Cancelled: When ``reporter`` says so.
    """
    planned = config.planned(tuple(budgets), tuple(curve))
    steps = [max(1, training_steps(run.selection, run.budget)) for run in planned]
    unit = "selection" if max(steps, default=1) == 1 else "selection step"
    found, loaded, done = [], -1, 0
    for run, count in zip(planned, steps, strict=True):
        reporter.progress(done, sum(steps), unit)
        made = None if kept is None else kept.read(run)
        if made is None:
            if run.number != loaded:
                # The plan is ordered by run, so only one run's scores are in memory at a time.
                loaded, of_run = run.number, scores(run.number)
            made = _selected(of_run, run, _PartReporter(reporter, done, sum(steps), unit))
            if kept is not None:
                kept.write(run, made)
        found.append(selected_run(keys, run, made))
        done += count
    return found + [all_data_run(keys, config, number) for number in range(config.full_data_runs)]


class _PartReporter(Silent):
    """Reports the steps of one selection as a part of the steps of all."""

    def __init__(self, reporter: Reporter, before: int, total: int, unit: str) -> None:
        self._reporter, self._before, self._total, self._unit = reporter, before, total, unit

    def progress(self, done: int, total: int, unit: str) -> None:
        del total, unit
        self._reporter.progress(self._before + done, self._total, self._unit)


def exchanged_run(run: SelectedRun) -> SelectedRun:
    """Make a run on the same coreset with histories exchanged between its samples."""
    return replace(run, selector=EXCHANGED, exchanged=True, seconds=0.0)


def _selected(scores: Scores, run: PlannedRun, reporter: Reporter) -> KeptSelection:
    started = time.perf_counter()
    indices = select(scores, run.budget, run.selection, reporter).indices
    return KeptSelection(indices, time.perf_counter() - started)


def selected_run(keys: Sequence[str], run: PlannedRun, made: KeptSelection) -> SelectedRun:
    """Make a selected run from a selection."""
    return SelectedRun(
        selector=run.selector,
        budget=run.budget,
        number=run.number,
        selection_seed=run.selection.seed,
        finetune=run.finetune,
        indices=made.indices,
        sha256=member_sha256(keys[index] for index in made.indices.tolist()),
        seconds=made.seconds,
    )


def all_data_run(keys: Sequence[str], config: ComparisonConfig, number: int) -> SelectedRun:
    """Make run ``number`` on all samples, or on as many random ones as the configuration allows.

    Raises:
        InputError: ``budget_too_large``.
    """
    assert config.config.finetune is not None
    finetune, count = config.config.finetune, config.resolved_full_data(len(keys))
    seed = config.config.selection.seed + number
    started = time.perf_counter()
    indices = np.arange(len(keys), dtype=np.int64)
    if count < len(keys):
        indices = np.sort(np.random.default_rng(seed).permutation(len(keys))[:count])
    return SelectedRun(
        ALL_DATA,
        count,
        number,
        selection_seed=seed,
        finetune=finetune.model_copy(update={"seed": finetune.seed + number}),
        indices=indices,
        sha256=member_sha256(keys[index] for index in indices.tolist()),
        seconds=time.perf_counter() - started,
    )
