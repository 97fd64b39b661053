"""The difficulty score, for selectors that work with any of them."""

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.interface import Float64, Scores
from dealrec.selection.normalisation import normalise


def difficulty(scores: Scores, config: SelectionConfig, method: Normalisation) -> Float64:
    """[n] score that ``config.difficulty`` names, normalised to [0, 1]."""
    values: Float64 = getattr(scores, config.difficulty.value)
    return normalise(values, method)
