"""Strata over the overall score, and how many samples each gives."""

import numpy as np
import numpy.typing as npt

from dealrec.config import StratumEdges
from dealrec.selection.interface import Float64, Int32


def stratum_edges(values: Float64, count: int, method: StratumEdges) -> Float64:
    """[count + 1] ascending edges over ``values``; constant values get one stratum of width 0."""
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.array([low, high])
    if method is StratumEdges.EQUAL_WIDTH:
        edges = np.linspace(low, high, count + 1)
    else:
        edges = np.quantile(values, np.linspace(0, 1, count + 1))
    edges[0], edges[-1] = low, high
    return edges


def assign_strata(values: Float64, edges: Float64) -> Int32:
    """[n] stratum of each value: ``edges[k] <= value < edges[k + 1]``, the last one closed.

    Equal values always share a stratum. The index is found in the edges themselves, so rounding can
    lose no sample at the top.
    """
    index = np.searchsorted(edges, values, side="right") - 1
    return np.clip(index, 0, len(edges) - 2).astype(np.int32)


def quotas(sizes: npt.NDArray[np.int64], budget: int) -> npt.NDArray[np.int64]:
    """How many samples each stratum gives; sums to ``min(budget, sizes.sum())`` exactly.

    Lin et al. 2024, the coverage-enhanced sampling: while strata remain, the smallest gives
    ``min(its size, floor(budget left / strata left))``. Equal sizes go in the order of the strata;
    empty strata do not count. What small strata and floors leave over falls to the larger ones that
    follow: going up in size, a stratum that gave its floor ``q`` has ``q`` or more, the shares
    after it are at most ``q + 1``, and the last one takes all that is left.
    """
    given = np.zeros_like(sizes)
    order = np.lexsort((np.arange(len(sizes)), sizes))
    order = order[sizes[order] > 0]
    left = budget
    for place, stratum in enumerate(order):
        given[stratum] = min(int(sizes[stratum]), left // (len(order) - place))
        left -= int(given[stratum])
    return given
