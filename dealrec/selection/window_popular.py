"""``window_popular``: the newest sample of each target that is frequent in the newest window."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.interface import Scores, Selection
from dealrec.selection.normalisation import normalise
from dealrec.selection.recency import newest, time_ranks
from dealrec.selection.results import as_groups, capped


def select_window_popular(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Take the newest ``per_target`` samples of each of the most frequent targets of the window.

    The window is that of ``recent``, and a target's frequency is the number of its samples there. If
    every target of the window has given ``per_target`` samples and budget is left, each may give as many
    again. Ties are broken at random. Popularity in a recent window is the baseline of Ji et al.,
    SIGIR 2020 (arXiv 2005.13829); one sample for each target is our own. Stratum 1 is the window,
    stratum 0 what is older.
    """
    assert scores.targets is not None
    inside = newest(scores, config.window, budget)
    counts = np.bincount(scores.targets, inside)
    popularity = counts[scores.targets].astype(np.float64)
    taken = capped(
        scores, popularity, budget, config, among=inside, within_target=time_ranks(scores)
    )
    overall = normalise(popularity, Normalisation.MINMAX)
    return as_groups(taken, overall, inside.astype(np.int32))
