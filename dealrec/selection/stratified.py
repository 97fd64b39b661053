"""``dealrec``: random draws over strata of the overall score (Lin et al., SIGIR 2024)."""

from fractions import Fraction
from math import floor

import numpy as np

from dealrec.config import SelectionConfig
from dealrec.selection.interface import (
    HARD_PRUNED,
    Float64,
    Int64,
    Scores,
    Selection,
    StratumUse,
)
from dealrec.selection.normalisation import overall_score
from dealrec.selection.results import draw
from dealrec.selection.strata import assign_strata, quotas, stratum_edges


def select_stratified(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Drop the highest scores, cut the rest into strata, and draw from every stratum.

    1. The ``min(floor(hard_prune * n), n - budget)`` samples with the highest overall score are
       dropped; of equal scores the larger key is dropped first.
    2. The rest is cut into ``strata`` strata (:mod:`dealrec.selection.strata`).
    3. The quota of each stratum is drawn uniformly without replacement.
    """
    return draw_over_strata(scores, overall_score(scores, config), budget, config)


def draw_over_strata(
    scores: Scores, overall: Float64, budget: int, config: SelectionConfig
) -> Selection:
    """Do the three steps of ``dealrec`` over any [n] score."""
    kept = _hard_pruned(scores, overall, budget, config)
    edges = stratum_edges(overall[kept], config.strata, config.stratum_edges)
    stratum = np.full(len(scores), HARD_PRUNED, dtype=np.int32)
    stratum[kept] = assign_strata(overall[kept], edges)
    sizes = np.bincount(stratum[kept], minlength=len(edges) - 1).astype(np.int64)
    given = quotas(sizes, budget)

    taken = draw(scores, stratum, given, config.seed)
    return Selection(
        indices=np.sort(taken).astype(np.int64),
        overall=overall,
        stratum=stratum,
        strata=[
            StratumUse(k, float(edges[k]), float(edges[k + 1]), int(sizes[k]), int(given[k]))
            for k in range(len(edges) - 1)
        ],
    )


def _hard_pruned(scores: Scores, overall: Float64, budget: int, config: SelectionConfig) -> Int64:
    """Dense indices of the samples that hard pruning keeps, ascending."""
    n = len(scores)
    drop = min(floor(Fraction(str(config.hard_prune)) * n), n - budget)
    key_rank = np.empty(n, dtype=np.int64)
    key_rank[scores.key_order()] = np.arange(n)
    ascending = np.lexsort((key_rank, overall))
    return np.sort(ascending[: n - drop]).astype(np.int64)
