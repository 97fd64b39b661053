"""Spearman's rank correlation in NumPy."""

from typing import Any

import numpy as np
import numpy.typing as npt


def spearman(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float | None:
    """Compute the rank correlation; ties share their mean rank. ``None`` if ``a`` or ``b`` is constant."""
    if len(a) < 2 or a.min() == a.max() or b.min() == b.max():
        return None
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: npt.NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return ranks
