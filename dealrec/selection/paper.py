"""``dealrec_paper``: selection and scores exactly as published (Lin et al., SIGIR 2024)."""

from dealrec.config import Normalisation, SelectionConfig, StratumEdges
from dealrec.selection.interface import Scores, Selection
from dealrec.selection.stratified import select_stratified


def select_as_published(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Draw over K strata of equal width of ``O = I' + λE'`` with min-max scores, and drop nothing.

    This is the paper's Algorithm 1; its loop over strata is :func:`dealrec.selection.strata.quotas`.
    The published code first drops the highest tenth; the published algorithm does not. The options
    of the scores that belong to the name are in :mod:`dealrec.config.published`.
    """
    published = {
        "normalisation": Normalisation.MINMAX,
        "stratum_edges": StratumEdges.EQUAL_WIDTH,
        "hard_prune": 0.0,
    }
    return select_stratified(scores, budget, config.model_copy(update=published))
