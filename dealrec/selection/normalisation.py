"""The normalisation of scores to [0, 1], and the overall score."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.interface import Float64, Scores


def normalise(values: Float64, method: Normalisation) -> Float64:
    """Normalise ``values`` [n] to [0, 1]; if all are the same, all become 0.

    ``minmax`` gives ``(x - min) / (max - min)``, ``rank`` the mean rank of equal values over ``n - 1``.
    """
    low, high = values.min(), values.max()
    if low == high:
        return np.zeros_like(values)
    if method is Normalisation.MINMAX:
        if high / 2 - low / 2 > np.finfo(np.float64).max / 2:
            # The range of two finite numbers can be infinite; the range of their halves cannot.
            values, low, high = values / 2, low / 2, high / 2
        return np.asarray((values - low) / (high - low))
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank: Float64 = last - (counts + 1) / 2
    return mean_rank[inverse] / (len(values) - 1)


def overall_score(scores: Scores, config: SelectionConfig) -> Float64:
    """[n] overall score ``O(s) = I'(s) + λ E'(s)`` of normalised influence and effort.

    When only the candidates have effort, the score is the normalised influence alone. Without influence it
    is ``λ E'(s)``, and 0 where there is no effort either.
    """
    overall = np.zeros(len(scores))
    if scores.influence is not None:
        overall = normalise(scores.influence, config.normalisation)
    if scores.effort is not None and scores.candidates is None and config.effort_weight:
        overall = overall + config.effort_weight * normalise(scores.effort, config.normalisation)
    return overall
