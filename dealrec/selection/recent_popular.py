"""``recent_popular``: samples whose targets are frequent of late."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.interface import Float64, Scores, Selection
from dealrec.selection.normalisation import normalise
from dealrec.selection.recency import decayed
from dealrec.selection.results import as_one, capped


def select_recent_popular(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Take the samples with the highest decayed popularity, at most ``per_target`` of one target.

    The popularity of a target is the sum, over its samples, of ``2^(−age / half-life)``: a purchase
    counts half after ``half_life``. Popularity that fades is a stronger baseline than popularity over all
    time (Ji et al., SIGIR 2020, *A Re-visit of the Popularity Baseline in Recommender Systems*,
    arXiv 2005.13829). Draws and the cap are those of ``popular``.
    """
    assert scores.targets is not None and scores.times is not None
    # Sums run from the oldest sample to the newest, so the order of the input does not matter.
    order = np.lexsort((scores.times, scores.targets))
    weights = decayed(scores, config.half_life)
    popularity: Float64 = np.zeros(int(scores.targets.max()) + 1)
    np.add.at(popularity, scores.targets[order], weights[order])
    popularity = popularity[scores.targets]
    taken = capped(scores, popularity, budget, config)
    return as_one(taken, normalise(popularity, Normalisation.MINMAX))
