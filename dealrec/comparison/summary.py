"""Makes the report of a finished comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dealrec.comparison.checks import exchanged_sentences, headroom_sentences, power_sentences
from dealrec.comparison.costs import TrainingCost, coreset_cost, full_cost
from dealrec.comparison.curve import BESIDE, Measured, curve_sentences, draw_curve
from dealrec.comparison.headroom import exchanged, headroom, primary_of
from dealrec.comparison.known import Known
from dealrec.comparison.results import (
    NLL,
    Compared,
    ComparisonReport,
    Cost,
    Data,
    FullCost,
    Overlap,
    Power,
    ReportedRun,
    SameAgainstSame,
    Spread,
)
from dealrec.comparison.runs import SelectedRun, TrainedRun
from dealrec.comparison.statistics import (
    Figures,
    differences,
    mean_jaccard,
    middle,
    same_against_same,
    spreads,
    table,
)
from dealrec.comparison.verdict import findings, verdict
from dealrec.comparison.wording import joined
from dealrec.config.compared import ALL_DATA
from dealrec.config.comparison import CONTROL, VERDICT_RUNS, ComparisonConfig
from dealrec.config.curve import Curve, CurveOf
from dealrec.config.selectors import SELECTORS, selector_needs
from dealrec.config.stages import StageName, needed_stages
from dealrec.data.dataset import Dataset
from dealrec.data.findings import validation_lines
from dealrec.data.samples import Samples
from dealrec.metrics import crossed
from dealrec.recommenders.held_out import SEEN_ITEMS, HeldOutUsers
from dealrec.recommenders.interface import Measurement

Floats = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
_LISTED_RUNS = range(2, 21)
_MOST_RUNS = 200
"""The largest number of runs that is considered when computing how many a small difference needs."""


@dataclass(frozen=True)
class FinishedComparison:
    """A comparison whose runs have all been trained and measured."""

    dataset: Dataset
    samples: Samples
    config: ComparisonConfig
    budgets: tuple[int, ...]
    curve: tuple[int, ...]
    """The budgets of the curve."""
    selected: Sequence[SelectedRun]
    """All selected runs except those on exchanged histories."""
    runs: Sequence[TrainedRun]
    untrained: Measurement
    """The figures of the language model without an adapter."""
    surrogate: Mapping[str, Floats] | None
    """The figures of the first run's surrogate on the same candidates, by metric."""
    known: Known
    users: HeldOutUsers
    seconds: Sequence[Mapping[StageName, float]]
    """How long each stage before the selection took, for each run."""

    def figures(self) -> Figures:
        """Return the [runs, users] figures of every selector, budget and metric."""
        groups = dict.fromkeys((run.selected.selector, run.selected.budget) for run in self.runs)
        found = {group: [run.measurement.users for run in self.of(*group)] for group in groups}
        return {
            group: {name: np.stack([users[name] for users in runs]) for name in runs[0]}
            for group, runs in found.items()
        }

    def of(self, selector: str, budget: int) -> list[TrainedRun]:
        """Return the runs of a selector at a budget."""
        return [
            run
            for run in self.runs
            if (run.selected.selector, run.selected.budget) == (selector, budget)
        ]

    @property
    def stopped(self) -> bool:
        """Whether the comparison stopped before any selector was trained on."""
        return all(run.selected.selector == ALL_DATA for run in self.runs)


def summarise(finished: FinishedComparison) -> ComparisonReport:
    """Make the report of the comparison."""
    config, figures = finished.config, finished.figures()
    metric, labels = primary_of(finished.untrained), [one.name for one in config.selectors]
    full = [run for run in finished.runs if run.selected.selector == ALL_DATA]
    room = headroom(finished.untrained, full, finished.surrogate)
    changed = exchanged(finished.untrained, finished.runs)
    drawn = set(finished.curve) - set(finished.budgets)
    compared = {g: of for g, of in figures.items() if g[0] in labels and g[1] not in drawn}
    rows = table({g: of for g, of in figures.items() if g[0] != CONTROL or g[1] not in drawn})
    curve = _curve(finished, figures, metric)
    found = differences(compared, config.controls, metric, config.smallest_effect)
    spread = middle(list(spreads(compared, metric).values()))
    able = None if spread is None else _power(finished, spread, metric)
    stopped = finished.stopped
    cost = _training_cost(finished)
    all_data = _full_cost(finished, cost)
    said = (
        [verdict(found, primary=metric, smallest_effect=config.smallest_effect)]
        if finished.budgets and not stopped
        else []
    )
    sentences = [
        *headroom_sentences(room, stopped=stopped),
        *curve_sentences(curve),
        *said,
        *exchanged_sentences(changed),
        *power_sentences(able, config.smallest_effect),
    ]
    return ComparisonReport(
        primary=metric,
        verdict=" ".join(sentences),
        findings=findings(rows, found, metric),
        warnings=_warnings(config),
        validation=[] if (sums := finished.dataset.validation) is None else validation_lines(sums),
        headroom=room,
        stopped=stopped,
        smallest_effect=config.smallest_effect,
        exchanged=changed,
        curve=curve,
        power=able,
        data=_data(finished),
        model=finished.known.model,
        selectors=[_compared(config, index) for index in range(len(labels))],
        budgets=list(finished.budgets),
        untrained=finished.untrained.means,
        runs=[_reported(run) for run in finished.runs],
        table=rows,
        differences=found,
        overlap=[]
        if stopped
        else [_overlap(finished, labels, budget) for budget in finished.budgets],
        costs=[] if stopped else _costs(finished, cost, all_data),
        full_cost=all_data,
        same_against_same=_same(finished, compared, metric, spread),
        config=config.model_dump(mode="json"),
    )


def _curve(finished: FinishedComparison, figures: Figures, metric: str) -> Curve | None:
    config = finished.config.config
    if finished.stopped or not finished.config.curve:
        return None
    assert config.finetune is not None
    (full,) = (group for group in figures if group[0] == ALL_DATA)
    groups = [*((CONTROL, size) for size in finished.curve), full]
    writes = not config.finetune.entry.needs_catalogue
    return draw_curve(
        CurveOf.of(finished.dataset.sha256, config),
        finished.untrained.users,
        [Measured(group[1], figures[group]) for group in groups],
        metric,
        beside=[name for name in BESIDE if writes or name != NLL],
    )


def _same(
    finished: FinishedComparison, figures: Figures, metric: str, spread: crossed.Spread | None
) -> SameAgainstSame | None:
    if finished.stopped or not finished.budgets:
        return None
    runs = [figures[CONTROL, budget][metric] for budget in finished.budgets]
    return same_against_same(max(runs, key=len), spread)


def _power(finished: FinishedComparison, spread: crossed.Spread, metric: str) -> Power:
    runs, users = finished.config.seeds, len(finished.users.prompts)
    smallest = finished.config.smallest_effect
    enough = (
        count
        for count in range(2, _MOST_RUNS)
        if crossed.detectable(spread, count, users) <= smallest
    )
    return Power(
        metric=metric,
        runs=runs,
        users=users,
        detectable=crossed.detectable(spread, runs, users),
        spread=Spread(**spread._asdict()),
        by_runs={count: crossed.detectable(spread, count, users) for count in _LISTED_RUNS},
        runs_needed=next(enough, None),
    )


def _data(finished: FinishedComparison) -> Data:
    dataset, samples, users = finished.dataset, finished.samples, finished.users
    return Data(
        sha256=dataset.sha256,
        users=dataset.n_users,
        items=dataset.n_items,
        samples=len(samples),
        sampling=samples.unit.value,
        split_method=dataset.split_method.value,
        held_out=users.split.value,
        held_out_users=len(users.prompts),
        ranking_users=len(users.ranked),
        seen_items=SEEN_ITEMS,
    )


def _compared(config: ComparisonConfig, index: int) -> Compared:
    selector = config.selectors[index]
    entry, selection = SELECTORS[selector.method], config.selection(selector)
    return Compared(
        label=selector.name,
        method=selector.method.value,
        summary=entry.summary,
        selection=selection.model_dump(mode="json", include=set(entry.parameters)),
        runs=config.runs_of(selector),
    )


def _reported(run: TrainedRun) -> ReportedRun:
    selected, measurement = run.selected, run.measurement
    return ReportedRun(
        selector=selected.selector,
        budget=selected.budget,
        number=selected.number,
        selection_seed=selected.selection_seed,
        training_seed=selected.finetune.seed,
        coreset_sha256=selected.sha256,
        metrics=measurement.means,
        train_loss=run.train_loss,
        steps=run.steps,
        tokens=run.tokens,
        select_seconds=selected.seconds,
        finetune_seconds=run.seconds,
        evaluate_seconds=measurement.seconds,
    )


def _overlap(finished: FinishedComparison, labels: list[str], budget: int) -> Overlap:
    sets = {
        label: [r.indices for r in finished.selected if (r.selector, r.budget) == (label, budget)]
        for label in labels
    }
    jaccard = [
        [mean_jaccard(sets[one], None if one == other else sets[other]) for other in labels]
        for one in labels
    ]
    return Overlap(budget=budget, selectors=labels, jaccard=jaccard)


def _training_cost(finished: FinishedComparison) -> TrainingCost:
    """Compute the seconds per token over all runs."""
    seconds = sum(run.seconds for run in finished.runs)
    tokens = sum(run.tokens for run in finished.runs)
    return TrainingCost(finished.known.trunk_seconds, seconds / tokens)


def _full_cost(finished: FinishedComparison, cost: TrainingCost) -> FullCost:
    count = len(finished.samples)
    measured = [run.seconds for run in finished.runs if len(run.selected.indices) == count]
    assert finished.config.config.finetune is not None
    return full_cost(
        cost,
        samples=count,
        text_tokens=int(finished.known.text_tokens.sum()),
        epochs=finished.config.config.finetune.epochs,
        measured=float(np.mean(measured)) if measured else None,
    )


def _costs(finished: FinishedComparison, cost: TrainingCost, full: FullCost) -> list[Cost]:
    """Compute the cost of each selector and budget, as the mean of its runs."""
    config, rows = finished.config, []
    for selector in config.selectors:
        needs = selector_needs(config.selection(selector))
        names = [spec.name for spec in needed_stages(config.config, needs)]
        spent = finished.seconds[: config.runs_of(selector)]
        stages = {
            name: float(np.mean([seconds[name] for seconds in spent]))
            for name in names
            if all(name in seconds for seconds in spent)
        }
        for budget in finished.budgets:
            runs = finished.of(selector.name, budget)
            tokens = [finished.known.text_tokens[run.selected.indices].sum() for run in runs]
            rows.append(
                coreset_cost(
                    selector.name,
                    budget,
                    stages=stages,
                    select=float(np.mean([run.selected.seconds for run in runs])),
                    trunk=cost.trunk * float(np.mean(tokens)),
                    finetune=float(np.mean([run.seconds for run in runs])),
                    full=full,
                )
            )
    return rows


def _warnings(config: ComparisonConfig) -> list[str]:
    few = [one.name for one in config.selectors if config.runs_of(one) < VERDICT_RUNS]
    if not few:
        return []
    return [
        (
            f"A verdict needs {VERDICT_RUNS} runs; {joined([f'`{name}`' for name in few])} "
            f"{'has' if len(few) == 1 else 'have'} fewer, so they are not called better, worse or "
            "level."
        )
    ]
