"""``dealrec_paper``: the selection exactly as published (Lin et al., SIGIR 2024, Algorithm 1)."""

from dealrec.config import Normalisation, SelectionConfig, StratumEdges
from dealrec.selection.interface import Scores, Selection
from dealrec.selection.stratified import select_stratified


def select_as_published(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Draw over K strata of equal width of ``O = I' + λE'`` with min-max scores, and drop nothing.

    The published loop over strata is :func:`dealrec.selection.strata.quotas`. The paper's settings of
    the scores are options of the scores: ``influence.target`` ``train`` with ``lissa``, and
    ``effort.parameters`` ``lora_b``. The published code first drops the highest tenth; the published
    algorithm does not.
    """
    published = {
        "normalisation": Normalisation.MINMAX,
        "stratum_edges": StratumEdges.EQUAL_WIDTH,
        "hard_prune": 0.0,
    }
    return select_stratified(scores, budget, config.model_copy(update=published))
