"""The score that selectors of any difficulty are told to use."""

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.interface import Float64, Scores
from dealrec.selection.normalisation import normalise


def difficulty(scores: Scores, config: SelectionConfig, method: Normalisation) -> Float64:
    """[n] in [0, 1], the score that ``config.difficulty`` names."""
    values: Float64 = getattr(scores, config.difficulty.value)
    return normalise(values, method)
