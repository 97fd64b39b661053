"""``ifd``: samples whose answer the language model finds hard although it has read the history."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.interface import Scores, Selection
from dealrec.selection.normalisation import normalise
from dealrec.selection.results import as_one, highest


def select_by_following(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Take the highest instruction-following difficulty below 1 (Li et al., NAACL 2024, arXiv 2308.12032).

    The score is the language model's loss of the target after the history, over its loss of the target
    without one (:mod:`dealrec.difficulty.following`). Above 1 the history makes the target unlikelier, and
    the paper leaves such samples out as badly matched; here they are taken, those nearest to 1 first, if
    the budget is above the number of the others. The paper computes the score with a model that was
    warmed up on a few samples; this is the model as it is. Ties are broken at random.
    """
    assert scores.ifd is not None
    taken = highest(scores, np.where(scores.ifd < 1, scores.ifd, -scores.ifd), budget, config.seed)
    return as_one(taken, normalise(scores.ifd, Normalisation.MINMAX))
