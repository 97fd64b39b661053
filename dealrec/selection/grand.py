"""``grand``: the largest norms of the surrogate's gradient."""

from dealrec.config import SelectionConfig
from dealrec.selection.interface import Scores, Selection
from dealrec.selection.results import the_highest


def select_by_grand(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Paul et al., NeurIPS 2021 (arXiv 2107.07075); equal ones are drawn.

    They average over ten networks at initialisation and take all parameters; here it is the mean
    over the trained surrogates and one matrix, see :mod:`dealrec.difficulty`.
    """
    assert scores.grand is not None
    return the_highest(scores, scores.grand, budget, config.seed)
