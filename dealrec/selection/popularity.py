"""``stratified_random``: random draws that keep the popularity of targets as it is."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig, StratumEdges
from dealrec.selection.interface import Scores, Selection
from dealrec.selection.normalisation import normalise
from dealrec.selection.results import as_groups, draw, proportional
from dealrec.selection.strata import assign_strata, stratum_edges


def select_by_popularity(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Strata over how many samples share a sample's target; each gives its share of the budget.

    Strata have about equal numbers of samples, and samples of one target share a stratum. It is
    textbook stratified sampling with proportional allocation: the mean of anything that depends on
    popularity varies less than over uniform draws. The overall score is the popularity itself,
    brought to [0, 1].
    """
    assert scores.targets is not None
    counts = np.bincount(scores.targets).astype(np.float64)
    popularity = normalise(counts[scores.targets], Normalisation.MINMAX)
    edges = stratum_edges(popularity, config.strata, StratumEdges.QUANTILE)
    strata = assign_strata(popularity, edges)
    sizes = np.bincount(strata, minlength=len(edges) - 1).astype(np.int64)
    taken = draw(scores, strata, proportional(sizes, budget), config.seed)
    return as_groups(taken, popularity, strata)
