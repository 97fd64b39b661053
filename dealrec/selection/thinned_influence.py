"""``thinned_influence``: the highest influence, with few samples of the same target."""

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.interface import Scores, Selection
from dealrec.selection.normalisation import normalise
from dealrec.selection.results import as_one, capped


def select_thinned(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Select the highest influence, with at most ``per_target`` samples of the same target.

    Influence is high for samples of the same few items, and this selector spreads the budget over more
    items. If every target has given that many
    and budget is left, each may give as many again, and so on. Ties are broken at random. This selector
    is our own.
    """
    assert scores.influence is not None
    taken = capped(scores, scores.influence, budget, config)
    return as_one(taken, normalise(scores.influence, Normalisation.RANK))
