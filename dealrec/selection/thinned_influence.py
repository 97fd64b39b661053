"""``thinned_influence``: the highest influence, with few samples of the same target."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.interface import Scores, Selection, priorities
from dealrec.selection.normalisation import normalise
from dealrec.selection.results import as_one


def select_thinned(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Select the highest influence, with at most ``per_target`` samples of the same target.

    Influence is high for samples of the same few items, and this selector spreads the budget over more
    items. On Games that did not help (``benchmarks/RESULTS.md``). If every target has given that many
    and budget is left, each may give as many again, and so on. Ties are broken at random. This selector
    is our own.
    """
    assert scores.targets is not None
    order = np.lexsort((priorities(scores, config.seed), -scores.influence, scores.targets))
    counts = np.bincount(scores.targets)
    first = np.cumsum(counts) - counts
    of_target = np.empty(len(scores), dtype=np.int64)
    of_target[order] = np.arange(len(scores)) - first[scores.targets[order]]
    rounds = of_target // config.per_target
    taken = np.lexsort((priorities(scores, config.seed), -scores.influence, rounds))[:budget]
    return as_one(taken.astype(np.int64), normalise(scores.influence, Normalisation.RANK))
