"""``grand``: the largest norms of the surrogate's gradient."""

from dealrec.config import SelectionConfig
from dealrec.selection.interface import Scores, Selection
from dealrec.selection.results import the_highest


def select_by_grand(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Select the highest GraNd (Paul et al., NeurIPS 2021, arXiv 2107.07075), ties at random.

    The paper averages over ten networks at initialisation and uses all parameters. This score averages
    over the trained surrogates and uses one matrix; see :mod:`dealrec.difficulty`.
    """
    assert scores.grand is not None
    return the_highest(scores, scores.grand, budget, config.seed)
