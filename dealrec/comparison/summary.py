"""The report of a finished comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dealrec.comparison.costs import TrainingCost, coreset_cost, full_cost, needed_stages
from dealrec.comparison.results import (
    PRIMARY,
    Compared,
    ComparisonReport,
    Cost,
    Data,
    FullCost,
    Model,
    Overlap,
    ReportedRun,
)
from dealrec.comparison.runs import TrainedRun
from dealrec.comparison.statistics import (
    Figures,
    differences,
    mean_jaccard,
    same_against_same,
    table,
)
from dealrec.comparison.verdict import findings, verdict
from dealrec.config import SelectionMethod
from dealrec.config.comparison import CONTROL, ComparisonConfig, Scale
from dealrec.config.selectors import SELECTORS
from dealrec.config.stages import StageName
from dealrec.data.dataset import Dataset
from dealrec.data.findings import validation_lines
from dealrec.data.samples import Samples
from dealrec.recommenders.held_out import SEEN_ITEMS, HeldOutUsers
from dealrec.recommenders.interface import Recommender

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FinishedComparison:
    """A comparison whose runs have all been trained and measured."""

    dataset: Dataset
    samples: Samples
    config: ComparisonConfig
    budgets: tuple[int, ...]
    runs: Sequence[TrainedRun]
    untrained: dict[str, float]
    """Metrics of the language model without an adapter."""
    recommender: Recommender
    users: HeldOutUsers
    text_tokens: Int64
    """[n] how many tokens each sample has."""
    seconds: Mapping[StageName, float]
    """How long each stage before the selection took."""

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


def summarise(finished: FinishedComparison) -> ComparisonReport:
    """Make the report."""
    config, figures = finished.config, finished.figures()
    labels = [selector.name for selector in config.selectors]
    bar = SelectionMethod.STRATIFIED_RANDOM.value
    controls = [CONTROL, bar] if bar in labels else [CONTROL]
    rows, found = table(figures), differences(figures, controls)
    smoke = config.scale is Scale.SMOKE
    cost = _training_cost(finished)
    full = _full_cost(finished, cost)
    random_runs = [figures[CONTROL, budget][PRIMARY] for budget in finished.budgets]
    return ComparisonReport(
        smoke=smoke,
        verdict=verdict(found, smoke=smoke),
        findings=findings(rows, found),
        warnings=_warnings(config),
        validation=[] if (sums := finished.dataset.validation) is None else validation_lines(sums),
        data=_data(finished),
        model=_model(finished.recommender),
        selectors=[_compared(config, index) for index in range(len(labels))],
        budgets=list(finished.budgets),
        untrained=finished.untrained,
        runs=[_reported(run) for run in finished.runs],
        table=rows,
        differences=found,
        overlap=[_overlap(finished, labels, budget) for budget in finished.budgets],
        costs=_costs(finished, cost, full),
        full_cost=full,
        same_against_same=same_against_same(max(random_runs, key=len)),
        config=config.model_dump(mode="json"),
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


def _model(recommender: Recommender) -> Model:
    loaded = recommender.loaded
    return Model(
        name=loaded.name,
        revision=loaded.revision,
        trained_layers=recommender.trained_layers,
        layers=recommender.layers,
        device=loaded.device.type,
    )


def _compared(config: ComparisonConfig, index: int) -> Compared:
    selector = config.selectors[index]
    entry, selection = SELECTORS[selector.method], config.selection(selector)
    return Compared(
        label=selector.name,
        method=selector.method.value,
        summary=entry.summary,
        selection=selection.model_dump(mode="json", include=set(entry.parameters)),
        runs=selector.runs or config.seeds,
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
    sets = {label: [run.selected.indices for run in finished.of(label, budget)] for label in labels}
    jaccard = [
        [mean_jaccard(sets[one], None if one == other else sets[other]) for other in labels]
        for one in labels
    ]
    return Overlap(budget=budget, selectors=labels, jaccard=jaccard)


def _training_cost(finished: FinishedComparison) -> TrainingCost:
    """Compute the seconds a token over all runs."""
    seconds = sum(run.seconds for run in finished.runs)
    tokens = sum(run.tokens for run in finished.runs)
    return TrainingCost(finished.recommender.trunk_seconds_per_token, seconds / tokens)


def _full_cost(finished: FinishedComparison, cost: TrainingCost) -> FullCost:
    count = len(finished.samples)
    measured = [run.seconds for run in finished.runs if len(run.selected.indices) == count]
    assert finished.config.config.finetune is not None
    return full_cost(
        cost,
        samples=count,
        text_tokens=int(finished.text_tokens.sum()),
        epochs=finished.config.config.finetune.epochs,
        measured=float(np.mean(measured)) if measured else None,
    )


def _costs(finished: FinishedComparison, cost: TrainingCost, full: FullCost) -> list[Cost]:
    """Compute the cost of each selector and budget, as the mean of its runs."""
    config, seconds = finished.config, finished.seconds
    rows = []
    for selector in config.selectors:
        stages = needed_stages(config.selection(selector), config.config)
        for budget in finished.budgets:
            runs = finished.of(selector.name, budget)
            tokens = [finished.text_tokens[run.selected.indices].sum() for run in runs]
            rows.append(
                coreset_cost(
                    selector.name,
                    budget,
                    stages={name: seconds[name] for name in stages if name in seconds},
                    select=float(np.mean([run.selected.seconds for run in runs])),
                    trunk=cost.trunk * float(np.mean(tokens)),
                    finetune=float(np.mean([run.seconds for run in runs])),
                    full=full,
                )
            )
    return rows


def _warnings(config: ComparisonConfig) -> list[str]:
    runs = min(selector.runs or config.seeds for selector in config.selectors)
    if runs >= 5:
        return []
    return [
        (
            f"Some selectors have {runs} runs only. A claim should rest on at least 8 runs of random "
            "selection and 5 of the selector."
        )
    ]
