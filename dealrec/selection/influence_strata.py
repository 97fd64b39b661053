"""``influence_strata``: ranges of influence share the budget; the extreme ones give nearly all."""

from dealrec.config import Normalisation, SelectionConfig, StratumEdges
from dealrec.selection.interface import Scores, Selection
from dealrec.selection.normalisation import normalise
from dealrec.selection.stratified import draw_over_strata


def select_influence_strata(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Draw over strata of influence alone (Lin et al., SIGIR 2024, arXiv 2401.17197), drop nothing.

    Influence has long tails: most samples hardly move the risk, and a few move it far. ``strata``
    ranges of equal width share the budget evenly as far as they have samples. So nearly all samples
    that move the risk in either direction are taken, and the many in the middle are represented.
    Unlike ``dealrec`` this selector leaves out effort, which prefers short titles, and hard pruning,
    which drops the most helpful samples.
    """
    assert scores.influence is not None
    fixed = {"stratum_edges": StratumEdges.EQUAL_WIDTH, "hard_prune": 0.0}
    overall = normalise(scores.influence, Normalisation.MINMAX)
    return draw_over_strata(scores, overall, budget, config.model_copy(update=fixed))
