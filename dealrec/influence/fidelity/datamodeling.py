"""The linear datamodeling score (Park et al., 2023, arXiv 2303.14186) of influence predictions.

Surrogates are trained on random halves of the users. The score is the Spearman correlation over
halves between a query's measured loss, averaged over seeds, and its prediction, averaged over
queries. Two rows serve for comparison: the ceiling, which correlates the losses of one seed with those
of another, and the naive predictor, which counts the query's target in the half.
"""

from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from dealrec.config import PruneConfig, Split
from dealrec.data.dataset import SPLIT_CODES, Dataset
from dealrec.data.samples import build_samples
from dealrec.errors import InputError
from dealrec.influence.examples import Examples
from dealrec.influence.fidelity.halves import random_halves, training_of
from dealrec.influence.fidelity.intervals import Correlations, Floats, Interval, draw_means
from dealrec.influence.fidelity.predictions import PredictionInputs, run_predictions
from dealrec.influence.fidelity.predictors import Predictor, spread_queries, target_counts
from dealrec.influence.fidelity.trainings import TrainingPlan, run_trainings
from dealrec.progress import Reporter

CEILING, COUNT = "ceiling: one seed against another", "target count"


@dataclass(frozen=True)
class FidelityScale:
    """The number of trainings and of queries."""

    halves: int = 30
    seeds: int = 2
    """Trainings on each half."""
    queries: int = 500
    """Queries of each kind."""
    surrogates: int = 2
    """Trainings on all users; predictions are averaged over them."""
    processes: int = 1
    seed: int = 0


@dataclass(frozen=True)
class DatamodelingScores:
    """The scores of all predictors."""

    scores: dict[str, dict[str, Interval]]
    """Scores by kind of query (``validation``, ``train``), then by the predictor's name."""
    differences: dict[str, dict[str, Interval]]
    """The differences ``A − B`` of the requested pairs over the same draws, by kind of query."""
    counts: dict[str, int]
    """The sizes of the data and of the experiment."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def datamodeling_scores(
    dataset: Dataset,
    config: PruneConfig,
    predictors: list[Predictor],
    scale: FidelityScale,
    folder: Path,
    reporter: Reporter,
    pairs: tuple[tuple[str, str], ...] = (),
) -> DatamodelingScores:
    """Score every predictor; finished trainings stay in ``folder`` and are used again.

    ``pairs`` names the predictors whose differences are wanted.

    Raises:
        InputError: ``too_small`` if fewer than ten users have a sample.
        Cancelled: ``reporter`` cancelled the run between trainings or halves.
    """
    everybody = np.ones(dataset.n_users, dtype=np.bool_)
    training = training_of(dataset, everybody)
    samples = build_samples(training, config.sampling, config.min_history)
    length, loss = config.surrogate.max_length, config.influence.sample_loss
    of_samples = Examples.of_samples(samples, dataset.n_items, length, loss)
    asked = {
        "validation": Examples.of_validation(dataset, length, loss),
        "train": of_samples,
    }
    queries = {
        kind: spread_queries(examples, scale.queries, scale.seed)
        for kind, examples in asked.items()
        if len(examples)
    }
    candidates = np.unique(samples.users).astype(np.int64)
    if len(candidates) < 10:
        raise InputError(
            (
                "Measuring fidelity needs at least ten users with a sample, because surrogates are "
                "trained on halves of them."
            ),
            code="too_small",
        )
    members = random_halves(candidates, dataset.n_users, scale.halves, scale.seed)
    sets = tuple(queries.values())
    plan = TrainingPlan(dataset, config.surrogate, members, scale.seeds, scale.surrogates, sets)
    measured = run_trainings(plan, folder, scale.processes, reporter)
    surrogates = tuple(one.model for one in measured.surrogates)
    inputs = PredictionInputs(tuple(predictors), surrogates, samples, members, sets)
    predictions = run_predictions(inputs, scale.processes, reporter)
    predictions[COUNT] = tuple(target_counts(training, members, examples) for examples in sets)
    scores, differences = {}, {}
    for place, kind in enumerate(queries):
        found = {name: values[place] for name, values in predictions.items()}
        scores[kind], differences[kind] = _scored(found, measured.losses[place], scale.seed, pairs)
    return DatamodelingScores(
        scores,
        differences,
        {
            "users": len(candidates),
            "samples": len(samples),
            "items": dataset.n_items,
            "interactions": int((dataset.splits == SPLIT_CODES[Split.TRAIN]).sum()),
            "halves": scale.halves,
            "seeds": scale.seeds,
            "surrogates": scale.surrogates,
            **{f"{kind}_queries": len(examples) for kind, examples in queries.items()},
        },
    )


def _scored(
    predictions: dict[str, Floats], losses: Floats, seed: int, pairs: tuple[tuple[str, str], ...]
) -> tuple[dict[str, Interval], dict[str, Interval]]:
    """Score one set of queries with ``losses`` [seeds, H, Q]; return the scores and the differences."""
    fallen = -losses.mean(0).T
    named = {name: Correlations(values, fallen) for name, values in predictions.items()}
    seeds = [
        Correlations(-losses[a].T, -losses[b].T) for a, b in combinations(range(len(losses)), 2)
    ]
    draws = draw_means([*named.values(), *seeds], seed)
    columns = {name: draws[:, place] for place, name in enumerate(named)}
    means = {name: one.mean() for name, one in named.items()}
    if seeds:
        columns[CEILING] = draws[:, len(named) :].mean(1)
        means[CEILING] = float(np.mean([one.mean() for one in seeds]))
    scores = {name: Interval.of(means[name], columns[name]) for name in columns}
    differences = {
        f"{a} − {b}": Interval.of(means[a] - means[b], columns[a] - columns[b])
        for a, b in pairs
        if a in columns and b in columns
    }
    return scores, differences
