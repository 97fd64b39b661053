"""``recranker``: samples of active users from every cluster, with few repetitions."""

import numpy as np

from dealrec.config import SelectionConfig
from dealrec.selection.clustering import cluster
from dealrec.selection.interface import Float64, Int32, Int64, Scores, Selection, priorities
from dealrec.selection.normalisation import overall_score
from dealrec.selection.results import as_groups


def select_like_recranker(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Draw in the style of Luo et al. 2023 (*RecRanker*, arXiv 2312.16018), who sample users.

    There are two orders: samples drawn without replacement with probabilities in proportion to the
    logarithm of the user's interactions, and samples drawn uniformly from each of ``clusters``
    clusters, such that every beginning of the order has nearly its share of each cluster. The budget
    takes from both in turn, so a larger budget contains the smaller one. The paper draws both with
    replacement, in equal numbers, and then draws by weights that grow with the number of times that a
    sample was drawn, less for each repetition. Here no sample is taken twice, and a sample that comes
    early in either order is taken early.
    """
    assert scores.embedding is not None and scores.history_lengths is not None
    labels, _ = cluster(scores.embedding.samples, config.clusters, config.seed)
    draws = priorities(scores, config.seed)
    active = _places(_waits(draws, np.log(scores.history_lengths + 1.0)), draws)
    draws = priorities(scores, config.seed, "clusters")
    spread = _places(_shares(labels, draws), draws)
    order = np.argsort(np.minimum(2 * active, 2 * spread + 1))
    return as_groups(order[:budget].astype(np.int64), overall_score(scores, config), labels)


def _places(values: Float64, draws: Float64) -> Int64:
    """[n] place of each sample in the order of ``values``; ties are broken by ``draws``."""
    places = np.empty(len(values), dtype=np.int64)
    places[np.lexsort((draws, values))] = np.arange(len(values))
    return places


def _waits(draws: Float64, rates: Float64) -> Float64:
    """[n] exponential waiting times; infinite where the rate is zero.

    The samples with the shortest ones are a weighted draw without replacement.
    """
    waits = np.full(len(rates), np.inf)
    np.divide(-np.log1p(-draws), rates, out=waits, where=rates > 0)
    return waits


def _shares(labels: Int32, draws: Float64) -> Float64:
    """[n] the middle of each sample's place among the draws of its cluster, in (0, 1)."""
    order = np.lexsort((draws, labels))
    sizes = np.bincount(labels)
    place = np.arange(len(labels)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    shares = np.empty(len(labels))
    shares[order] = (place + 0.5) / np.repeat(sizes, sizes)
    return shares
