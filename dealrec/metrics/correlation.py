"""Rank correlation, where that is all that is needed of statistics."""

from typing import Any

import numpy as np
import numpy.typing as npt


def spearman(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float | None:
    """Rank correlation, ties sharing their mean rank; ``None`` where either is constant."""
    if len(a) < 2 or a.min() == a.max() or b.min() == b.max():
        return None
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: npt.NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return ranks
