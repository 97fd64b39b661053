"""``influence``: the highest influence, without effort and without strata."""

from dealrec.config import SelectionConfig
from dealrec.selection.interface import Scores, Selection
from dealrec.selection.results import the_highest


def select_by_influence(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Select the highest influence: an ablation of Lin et al., SIGIR 2024 (arXiv 2401.17197)."""
    assert scores.influence is not None
    return the_highest(scores, scores.influence, budget, config.seed)
