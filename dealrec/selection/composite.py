"""``composite``: a score, diversity, balance and a cap, each of which can be switched off."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.difficulty import difficulty
from dealrec.selection.interface import Float64, Int32, Int64, Scores, Selection, priorities
from dealrec.selection.popularity import popularity_strata
from dealrec.selection.results import as_groups, capped_order, proportional


def select_composite(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Take what scores high and is far from what was taken, with a balance over popularity and a cap.

    1. Balance: the target's popularity is cut into ``strata`` ranges, and each gives its share of the
       budget, as with ``stratified_random``. One range means no balance.
    2. Cap: at most ``per_target`` samples have the same target while others of the range are left.
    3. Within these limits each next sample has the largest ``score_weight · score + diversity_weight ·
       distance``. The score is the one that ``difficulty`` names, by rank. The distance is that to the
       nearest sample taken, over the root mean square distance of two samples; the first sample is
       chosen by its score alone. Ties are broken at random.

    Other selectors are corners of this one: ``random`` (no weights, one range, no cap),
    ``stratified_random`` (no weights, no cap), ``influence`` (the score alone), ``thinned_influence``
    (score and cap), ``k_center`` (diversity alone). Weighing relevance against distance from what
    was taken is maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998); the combination is
    our own.
    """
    value = np.zeros(len(scores))
    if config.score_weight:
        value = config.score_weight * difficulty(scores, config, Normalisation.RANK)
    _, strata, sizes = popularity_strata(scores, config.strata)
    given = proportional(sizes, budget)
    if config.diversity_weight:
        taken = _spread(scores, value, strata, given, config)
    else:
        order = capped_order(scores, value, config)
        order = order[np.argsort(strata[order], kind="stable")]
        place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        taken = order[place < np.repeat(given, sizes)]
    return as_groups(taken, value, strata)


def _spread(
    scores: Scores, value: Float64, strata: Int32, given: Int64, config: SelectionConfig
) -> Int64:
    """Take ``given[k]`` samples of each stratum ``k``, one by one, and return their indices."""
    assert scores.embedding is not None and scores.targets is not None
    drawn = np.argsort(priorities(scores, config.seed), kind="stable")
    vectors = np.asarray(scores.embedding.samples)[drawn]
    value, strata, targets = value[drawn], strata[drawn], scores.targets[drawn]
    lengths = np.einsum("nd,nd->n", vectors, vectors)
    scale = float(np.sqrt(2 * vectors.var(axis=0, dtype=np.float64).sum())) or 1.0
    weight = config.diversity_weight / scale
    left, of_target = given.copy(), np.zeros(int(targets.max()) + 1, dtype=np.int64)
    cap = config.per_target
    free = np.ones(len(value), dtype=np.bool_)
    nearest = np.full(len(value), np.inf)
    taken = np.empty(int(given.sum()), dtype=np.int64)
    for place in range(len(taken)):
        open_to = free & (left[strata] > 0)
        below = open_to & (of_target[targets] < cap)
        if not below.any():  # every target has given what it may, so each may give as many again
            cap += config.per_target
            below = open_to & (of_target[targets] < cap)
        gain = value + weight * nearest if place else value
        best = int(np.where(below, gain, -np.inf).argmax())
        taken[place] = best
        free[best] = False
        left[strata[best]] -= 1
        of_target[targets[best]] += 1
        squares = lengths + lengths[best] - 2 * (vectors @ vectors[best])
        np.minimum(nearest, np.sqrt(np.maximum(squares, 0)), out=nearest)
    return drawn[taken].astype(np.int64)
