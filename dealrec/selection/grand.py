"""``grand``: the largest norms of the surrogate's gradient."""

from dealrec.config import SelectionConfig
from dealrec.selection.interface import Scores, Selection
from dealrec.selection.results import the_highest


def select_by_grand(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Paul et al., NeurIPS 2021 (arXiv 2107.07075), who average over ten networks at initialisation; here it is the
    trained surrogates' mean (:mod:`dealrec.difficulty`). Equal ones are drawn.
    """
    assert scores.grand is not None
    return the_highest(scores, scores.grand, budget, config.seed)
