"""``stratified_random``: random draws that keep the distribution of target popularity."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig, StratumEdges
from dealrec.selection.interface import Float64, Int32, Int64, Scores, Selection
from dealrec.selection.normalisation import normalise
from dealrec.selection.results import as_groups, draw, proportional
from dealrec.selection.strata import assign_strata, stratum_edges


def select_by_popularity(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Draw over strata of popularity, the number of samples with the same target.

    Strata have about equal numbers of samples, and samples with the same target share a stratum. This
    is textbook stratified sampling with proportional allocation: the mean of anything that depends on
    popularity varies less than with uniform draws. The overall score is the popularity, normalised to
    [0, 1].
    """
    popularity, strata, sizes = popularity_strata(scores, config.strata)
    taken = draw(scores, strata, proportional(sizes, budget), config.seed)
    return as_groups(taken, popularity, strata)


def popularity_strata(scores: Scores, count: int) -> tuple[Float64, Int32, Int64]:
    """Cut the popularity of targets into about ``count`` ranges of about equal numbers of samples.

    Returns:
        [n] popularity, normalised to [0, 1], [n] the range of each sample, and the ranges' sizes.
    """
    assert scores.targets is not None
    counts = np.bincount(scores.targets).astype(np.float64)
    popularity = normalise(counts[scores.targets], Normalisation.MINMAX)
    edges = stratum_edges(popularity, count, StratumEdges.QUANTILE)
    strata = assign_strata(popularity, edges)
    sizes = np.bincount(strata, minlength=len(edges) - 1).astype(np.int64)
    return popularity, strata, sizes
