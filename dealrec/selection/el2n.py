"""``el2n``: the largest norms of the surrogate's error."""

from dealrec.config import SelectionConfig
from dealrec.selection.interface import Scores, Selection
from dealrec.selection.results import the_highest


def select_by_el2n(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Select the highest EL2N (Paul et al., NeurIPS 2021, arXiv 2107.07075), ties at random.

    The paper averages over ten networks early in training, this score over the trained surrogates;
    see :mod:`dealrec.difficulty`.
    """
    assert scores.el2n is not None
    return the_highest(scores, scores.el2n, budget, config.seed)
