"""The linear datamodeling score (Park et al., 2023, arXiv 2303.14186): are predicted losses the real ones?

Surrogates are trained on random halves of the users. For each query, the Spearman correlation over
halves between its measured loss, averaged over seeds, and what a predictor said; then the mean over
queries. Beside each predictor stand the ceiling (the losses of one seed against those of another) and
the naive predictor, how often the query's target is in the half.
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
from dealrec.influence.fidelity.predictions import Asked, run_predictions
from dealrec.influence.fidelity.predictors import Predictor, spread_queries, target_counts
from dealrec.influence.fidelity.trainings import TrainingPlan, run_trainings
from dealrec.progress import Reporter

CEILING, COUNT = "ceiling: one seed against another", "target count"


@dataclass(frozen=True)
class Scale:
    """How much is trained and asked."""

    halves: int = 30
    seeds: int = 2
    queries: int = 500
    surrogates: int = 2
    """Trained on all users; predictions are averaged over them."""
    processes: int = 1
    seed: int = 0


@dataclass(frozen=True)
class DatamodelingScores:
    """Scores by kind of query (``validation``, ``train``), then by name."""

    scores: dict[str, dict[str, Interval]]
    differences: dict[str, dict[str, Interval]]
    """``A − B`` of pairs that were asked for, over the same draws."""
    counts: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def datamodeling_scores(
    dataset: Dataset,
    config: PruneConfig,
    predictors: list[Predictor],
    scale: Scale,
    folder: Path,
    reporter: Reporter,
    pairs: tuple[tuple[str, str], ...] = (),
) -> DatamodelingScores:
    """Score every predictor; finished trainings are kept in ``folder`` and found again.

    ``pairs`` are names whose differences are wanted too. Raises :class:`InputError`
    (``too_small``) where there are not ten users with a sample, or no query.
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
            "Fidelity needs at least ten users with a sample to train on halves of them.",
            code="too_small",
        )
    members = random_halves(candidates, dataset.n_users, scale.halves, scale.seed)
    sets = tuple(queries.values())
    plan = TrainingPlan(dataset, config.surrogate, members, scale.seeds, scale.surrogates, sets)
    measured = run_trainings(plan, folder, scale.processes, reporter)
    surrogates = tuple(one.model for one in measured.surrogates)
    wanted = Asked(tuple(predictors), surrogates, samples, members, sets)
    predictions = run_predictions(wanted, scale.processes, reporter)
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
    """Of one set of queries; ``losses`` [seeds, H, Q]."""
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
