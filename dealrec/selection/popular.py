"""``popular``: samples whose targets are the most frequent ones."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.interface import Scores, Selection
from dealrec.selection.normalisation import normalise
from dealrec.selection.results import as_one, capped


def select_popular(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Take the samples with the most frequent targets, at most ``per_target`` of the same one.

    The frequency is the number of samples with the same target. Most-popular recommendation is the
    oldest baseline of recommenders (Cremonesi et al., RecSys 2010); as a selector it is a control: what
    this coreset teaches a language model is which titles are bought often, not who buys them. Among
    samples of the same target, and among equally frequent targets, the draw is random. If every
    target has given ``per_target`` samples and budget is left, each may give as many again, and so on.
    """
    assert scores.targets is not None
    counts = np.bincount(scores.targets).astype(np.float64)
    popularity = counts[scores.targets]
    taken = capped(scores, popularity, budget, config)
    return as_one(taken, normalise(popularity, Normalisation.MINMAX))
