"""``ccs``: coverage-centric coreset selection."""

from dealrec.config import Normalisation, SelectionConfig, StratumEdges
from dealrec.selection.difficulty import difficulty
from dealrec.selection.interface import Scores, Selection
from dealrec.selection.stratified import draw_over_strata


def select_with_coverage(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Drop the hardest, cut the range of difficulty into strata, draw alike from each.

    Zheng et al., ICLR 2023 (arXiv 2210.15809), Algorithm 1: the share ``hard_prune`` (their β) of
    the most difficult samples goes, the rest is cut into ``strata`` strata of equal width, and the
    smallest stratum first gives what is left of the budget over the strata that are left. DEALRec
    took its loop from there. They rank by the area under the margin; here it is ``difficulty``.
    """
    values = difficulty(scores, config, Normalisation.MINMAX)
    equal = config.model_copy(update={"stratum_edges": StratumEdges.EQUAL_WIDTH})
    return draw_over_strata(scores, values, budget, equal)
