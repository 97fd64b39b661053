"""Averages influence over the surrogates of an ensemble, so that scores depend less on one seed."""

from itertools import combinations
from typing import Any

import numpy as np

from dealrec.config import InfluenceConfig
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples
from dealrec.influence.scores import InfluenceScores
from dealrec.influence.scoring import score_influence
from dealrec.metrics.correlation import spearman
from dealrec.progress import SILENT, Reporter
from dealrec.surrogates.ensemble import Ensemble


def score_ensemble(
    dataset: Dataset,
    samples: Samples,
    ensemble: Ensemble,
    config: InfluenceConfig,
    *,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
) -> InfluenceScores:
    """Score all ``n`` samples on every surrogate and average the scores.

    The scores of a single surrogate are returned unchanged, see :func:`average` for several. The
    errors are those of :func:`~dealrec.influence.scoring.score_influence`.
    """
    count = len(ensemble.members)
    found = [
        score_influence(
            dataset,
            samples,
            surrogate,
            config,
            runtime=runtime,
            reporter=_MemberReporter(reporter, index, count),
        )
        for index, surrogate in enumerate(ensemble.members)
    ]
    if count == 1:
        return found[0]
    return average(found)


def average(members: list[InfluenceScores]) -> InfluenceScores:
    """Average the scores of several surrogates for the same samples.

    Each member's scores are divided by their standard deviation before the average, so that no member
    outweighs the others. The average is multiplied by the mean of these deviations. The diagnostics
    hold those of each member, and ``member_agreement``, the mean Spearman correlation over pairs of
    members.
    """
    deviations = np.array([float(one.scores.std()) for one in members])
    scaled = [
        one.scores / deviation if deviation else one.scores
        for one, deviation in zip(members, deviations, strict=True)
    ]
    scores = np.mean(scaled, axis=0) * deviations.mean()
    return InfluenceScores(scores, _diagnostics(members))


def _diagnostics(members: list[InfluenceScores]) -> dict[str, Any]:
    """Combine the members' diagnostics: the shared definition, the worst solution, total times."""
    each = [one.diagnostics for one in members]
    pairs = [spearman(a.scores, b.scores) for a, b in combinations(members, 2)]
    known = [value for value in pairs if value is not None]
    return {
        **each[0],
        "residual": max(one["residual"] for one in each),
        "iterations": sum(one["iterations"] for one in each),
        "converged": all(one["converged"] for one in each),
        "negative_curvature": any(one["negative_curvature"] for one in each),
        "seconds": sum(one["seconds"] for one in each),
        "member_agreement": sum(known) / len(known) if known else None,
        "members": each,
    }


class _MemberReporter:
    """Reports one member's samples as a part of the samples of all members."""

    def __init__(self, reporter: Reporter, index: int, count: int) -> None:
        self._reporter, self._index, self._count = reporter, index, count

    def progress(self, done: int, total: int, unit: str) -> None:
        self._reporter.progress(self._index * total + done, self._count * total, unit)

    def metric(self, name: str, value: float) -> None:
        self._reporter.metric(name, value)

    def point(self, name: str, step: int, value: float) -> None:
        self._reporter.point(name, step, value)

    def event(self, kind: str, **data: Any) -> None:
        self._reporter.event(kind, **data)
