"""From the figures of all runs to the report."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
    Run,
)
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
from dealrec.data.samples import Samples
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.recommenders.bigrec import BigRec
from dealrec.recommenders.held_out import SEEN_ITEMS

if TYPE_CHECKING:
    from dealrec.comparison import running

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Ran:
    """A comparison whose runs have all been made."""

    dataset: Dataset
    samples: Samples
    config: ComparisonConfig
    budgets: tuple[int, ...]
    chosen: list["running.Chosen"]
    results: "running.Figures"

    def grouped(self) -> Figures:
        """[runs, users] of every selector, budget and metric."""
        found: dict[tuple[str, int], list[dict[str, npt.NDArray[np.float64]]]] = {}
        for run in self.chosen:
            users = self.results.figures[run.identity].users
            found.setdefault((run.selector, run.budget), []).append(users)
        return {
            group: {name: np.stack([users[name] for users in runs]) for name in runs[0]}
            for group, runs in found.items()
        }


def summarise(
    ran: Ran,
    *,
    recommender: BigRec,
    loaded: LoadedLanguageModel,
    text_tokens: Int64,
    seconds: Mapping[StageName, float],
) -> ComparisonReport:
    """The report; ``text_tokens`` [n] is how many tokens each sample has."""
    config, figures = ran.config, ran.grouped()
    labels = [selector.name for selector in config.selectors]
    bar = SelectionMethod.STRATIFIED_RANDOM.value
    controls = [CONTROL, bar] if bar in labels else [CONTROL]
    rows, found = table(figures), differences(figures, controls)
    smoke = config.scale is Scale.SMOKE
    cost = _training_cost(ran, recommender)
    full = _full_cost(ran, text_tokens, cost)
    random_runs = [figures[CONTROL, budget][PRIMARY] for budget in ran.budgets]
    return ComparisonReport(
        smoke=smoke,
        verdict=verdict(found, smoke=smoke),
        findings=findings(rows, found),
        warnings=_warnings(ran),
        data=_data(ran, recommender),
        model=_model(loaded, recommender),
        selectors=[_compared(config, index) for index in range(len(labels))],
        budgets=list(ran.budgets),
        untrained=ran.results.untrained,
        runs=[_run(run, ran) for run in ran.chosen],
        table=rows,
        differences=found,
        overlap=[_overlap(ran, labels, budget) for budget in ran.budgets],
        costs=_costs(ran, text_tokens, cost, seconds, full),
        full_cost=full,
        same_against_same=same_against_same(max(random_runs, key=len)),
        config=config.model_dump(mode="json"),
    )


def _data(ran: Ran, recommender: BigRec) -> Data:
    users = recommender.users
    return Data(
        sha256=ran.dataset.sha256,
        users=ran.dataset.n_users,
        items=ran.dataset.n_items,
        samples=len(ran.samples),
        sampling=ran.samples.unit.value,
        split_method=ran.dataset.split_method.value,
        held_out=users.split.value,
        held_out_users=len(users.prompts),
        ranking_users=len(users.ranked),
        seen_items=SEEN_ITEMS,
    )


def _model(loaded: LoadedLanguageModel, recommender: BigRec) -> Model:
    return Model(
        name=loaded.name,
        revision=loaded.revision,
        trained_layers=recommender.trained_layers,
        layers=loaded.model.config.num_hidden_layers,
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


def _run(run: "running.Chosen", ran: Ran) -> Run:
    figures = ran.results.figures[run.identity]
    return Run(
        selector=run.selector,
        budget=run.budget,
        number=run.number,
        selection_seed=run.selection_seed,
        training_seed=run.finetune.seed,
        coreset_sha256=run.sha256,
        metrics=figures.means,
        train_loss=figures.train_loss,
        steps=figures.steps,
        tokens=figures.tokens,
        select_seconds=run.seconds,
        finetune_seconds=figures.finetune_seconds,
        evaluate_seconds=figures.evaluate_seconds,
    )


def _overlap(ran: Ran, labels: list[str], budget: int) -> Overlap:
    sets = {
        label: [
            run.indices.astype(np.float64)
            for run in ran.chosen
            if (run.selector, run.budget) == (label, budget)
        ]
        for label in labels
    }
    jaccard = [
        [mean_jaccard(sets[one], None if one == other else sets[other]) for other in labels]
        for one in labels
    ]
    return Overlap(budget=budget, selectors=labels, jaccard=jaccard)


def _training_cost(ran: Ran, recommender: BigRec) -> TrainingCost:
    """Seconds a token over all runs."""
    figures = ran.results.figures.values()
    seconds, tokens = sum(f.finetune_seconds for f in figures), sum(f.tokens for f in figures)
    return TrainingCost(recommender.trunk_seconds_per_token, seconds / tokens)


def _full_cost(ran: Ran, text_tokens: Int64, cost: TrainingCost) -> FullCost:
    measured = [
        ran.results.figures[run.identity].finetune_seconds
        for run in ran.chosen
        if len(run.indices) == len(ran.samples)
    ]
    assert ran.config.config.finetune is not None
    return full_cost(
        cost,
        samples=len(ran.samples),
        text_tokens=int(text_tokens.sum()),
        epochs=ran.config.config.finetune.epochs,
        measured=float(np.mean(measured)) if measured else None,
    )


def _costs(
    ran: Ran,
    text_tokens: Int64,
    cost: TrainingCost,
    seconds: Mapping[StageName, float],
    full: FullCost,
) -> list[Cost]:
    """Of each selector and budget: the mean of its runs."""
    config = ran.config
    rows = []
    for selector in config.selectors:
        stages = needed_stages(config.selection(selector), config.config)
        for budget in ran.budgets:
            runs = [r for r in ran.chosen if (r.selector, r.budget) == (selector.name, budget)]
            tokens = float(np.mean([text_tokens[run.indices].sum() for run in runs]))
            figures = [ran.results.figures[run.identity] for run in runs]
            rows.append(
                coreset_cost(
                    selector.name,
                    budget,
                    stages={name: seconds[name] for name in stages if name in seconds},
                    select=float(np.mean([run.seconds for run in runs])),
                    trunk=cost.trunk * tokens,
                    finetune=float(np.mean([run.finetune_seconds for run in figures])),
                    full=full,
                )
            )
    return rows


def _warnings(ran: Ran) -> list[str]:
    found = []
    runs = min(selector.runs or ran.config.seeds for selector in ran.config.selectors)
    if runs < 5:
        found.append(
            f"Some selectors have {runs} runs only. A claim should rest on at least 8 runs of random "
            "selection and 5 of the selector."
        )
    return found
