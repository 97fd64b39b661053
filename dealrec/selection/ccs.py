"""``ccs``: coverage-centric coreset selection."""

from dealrec.config import Normalisation, SelectionConfig, StratumEdges
from dealrec.selection.difficulty import difficulty
from dealrec.selection.interface import Scores, Selection
from dealrec.selection.stratified import draw_over_strata


def select_with_coverage(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Drop the hardest samples, cut the range of difficulty into strata, and draw evenly from them.

    Zheng et al., ICLR 2023 (arXiv 2210.15809), Algorithm 1: the share ``hard_prune`` (their β) of
    the most difficult samples is dropped and the rest is cut into ``strata`` strata of equal width.
    From the smallest stratum to the largest, each gives the remaining budget over the number of
    remaining strata; DEALRec adopted this loop. The paper ranks by the area under the margin, this
    selector by ``difficulty``.
    """
    values = difficulty(scores, config, Normalisation.MINMAX)
    equal = config.model_copy(update={"stratum_edges": StratumEdges.EQUAL_WIDTH})
    return draw_over_strata(scores, values, budget, equal)
