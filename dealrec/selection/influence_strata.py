"""``influence_strata``: every range of influence gives its share, the extreme ones all that they have."""

from dealrec.config import Normalisation, SelectionConfig, StratumEdges
from dealrec.selection.interface import Scores, Selection
from dealrec.selection.normalisation import normalise
from dealrec.selection.stratified import draw_over_strata


def select_influence_strata(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """The strata of Lin et al., SIGIR 2024 (arXiv 2401.17197), over influence alone, nothing dropped.

    Influence has long tails: most samples move the risk hardly, few do so by far. ``strata`` ranges of
    equal width over all of it share the budget evenly as far as they have samples, so what
    moves the risk in either direction is taken nearly whole, and the many in the middle are
    represented. Beside ``dealrec`` it leaves out effort, which prefers short titles, and
    hard pruning, which drops the samples that help most.
    """
    fixed = {"stratum_edges": StratumEdges.EQUAL_WIDTH, "hard_prune": 0.0}
    overall = normalise(scores.influence, Normalisation.MINMAX)
    return draw_over_strata(scores, overall, budget, config.model_copy(update=fixed))
