"""``recranker``: samples of active users from every cluster, with few repetitions."""

import numpy as np

from dealrec.config import SelectionConfig
from dealrec.selection.clustering import cluster
from dealrec.selection.interface import Float64, Scores, Selection, priorities
from dealrec.selection.normalisation import overall_score
from dealrec.selection.results import as_groups, proportional

_SHARE = 0.6
"""The share of the budget that each of the two draws has (published code)."""
_REPETITION = 0.95
"""The factor on a draw for each earlier draw of the same user (published code)."""


def select_like_recranker(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Draw in the style of Luo et al. 2023 (*RecRanker*, arXiv 2312.16018), who sample users.

    There are two draws with replacement, each of 0.6 of the budget: one with probabilities proportional
    to the logarithm of the user's interactions, one uniform within each of ``clusters`` clusters, which
    share it by size. A sample that was drawn ``c`` times has the weight ``c · 0.95^(c − 1)``, and the
    budget is drawn by weight. The paper draws with replacement there, too. Here no sample is selected
    twice, and if too few were drawn, the others are drawn by their users' interactions alone.
    """
    assert scores.embedding is not None and scores.history_lengths is not None
    labels, _ = cluster(scores.embedding.samples, config.clusters, config.seed)
    importance = np.log(scores.history_lengths + 1.0)
    importance = importance if importance.any() else np.ones(len(scores))
    generator = np.random.default_rng([config.seed, 1])
    draws = int(np.ceil(_SHARE * budget))
    times = generator.multinomial(draws, importance / importance.sum())
    for group, share in enumerate(proportional(np.bincount(labels).astype(np.int64), draws)):
        here = np.flatnonzero(labels == group)
        if len(here):
            times[here] += generator.multinomial(share, np.full(len(here), 1 / len(here)))
    weights = times * _REPETITION ** np.maximum(times - 1, 0)
    # The samples with the shortest exponential waits are a weighted draw without replacement.
    ring = -np.log1p(-priorities(scores, config.seed))
    order = np.lexsort((_waits(ring, importance), _waits(ring, weights), times == 0))
    return as_groups(order[:budget].astype(np.int64), overall_score(scores, config), labels)


def _waits(ring: Float64, rates: Float64) -> Float64:
    """[n] exponential waiting times; infinite where the rate is zero."""
    waits = np.full(len(ring), np.inf)
    np.divide(ring, rates, out=waits, where=rates > 0)
    return waits
