"""``recranker``: active users, every cluster, few repetitions."""

import numpy as np

from dealrec.config import SelectionConfig
from dealrec.selection.clustering import cluster
from dealrec.selection.interface import Float64, Scores, Selection, priorities
from dealrec.selection.normalisation import overall_score
from dealrec.selection.results import as_groups, proportional

_SHARE = 0.6
"""Of the budget, drawn by each of the two ways (the published code)."""
_REPETITION = 0.95
"""What a draw counts for each earlier one of the same user (the published code)."""


def select_like_recranker(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """In the style of Luo et al. 2023 (*RecRanker*, arXiv 2312.16018), who sample users.

    Two draws with repetition, each of 0.6 of the budget: one with chances in proportion to the
    logarithm of the user's interactions, one uniform in each of ``clusters`` clusters, which share
    it by size. A sample drawn ``c`` times then has the weight ``c · 0.95^(c − 1)``, and the budget
    is drawn by weight. They draw with repetition to the last; here no sample is taken twice, and
    where too few have been drawn others follow by their interactions alone.
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
    # Exponential clocks: the first to ring are a draw by weight without repetition.
    ring = -np.log1p(-priorities(scores, config.seed))
    order = np.lexsort((_waits(ring, importance), _waits(ring, weights), times == 0))
    return as_groups(order[:budget].astype(np.int64), overall_score(scores, config), labels)


def _waits(ring: Float64, rates: Float64) -> Float64:
    """[n] times until each clock rings; never where the rate is zero."""
    waits = np.full(len(ring), np.inf)
    np.divide(ring, rates, out=waits, where=rates > 0)
    return waits
