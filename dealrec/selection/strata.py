"""Strata of the overall score, and the number of samples that each gives."""

import numpy as np
import numpy.typing as npt

from dealrec.config import StratumEdges
from dealrec.selection.interface import Float64, Int32


def stratum_edges(values: Float64, count: int, method: StratumEdges) -> Float64:
    """[count + 1] ascending edges of strata; constant values get one stratum of width 0."""
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
    """[n] stratum ``k`` of each value: ``edges[k] <= value < edges[k + 1]``, and the last one closed.

    Equal values always share a stratum. The index is searched in the edges, so rounding cannot lose a
    sample at the top.
    """
    index = np.searchsorted(edges, values, side="right") - 1
    return np.clip(index, 0, len(edges) - 2).astype(np.int32)


def quotas(sizes: npt.NDArray[np.int64], budget: int) -> npt.NDArray[np.int64]:
    """Allocate the budget to strata; the sum is exactly ``min(budget, sizes.sum())``.

    This is the coverage-enhanced sampling of Lin et al. 2024: while strata remain, the smallest gives
    ``min(its size, floor(budget left / strata left))``. Strata of equal size are taken in their order,
    and empty strata do not count. The budget that small strata and floors leave over goes to the larger
    strata: a stratum that gave its floor ``q`` has at least ``q`` samples, the shares of larger strata
    are at most ``q + 1``, and the last stratum takes all that is left.
    """
    given = np.zeros_like(sizes)
    order = np.lexsort((np.arange(len(sizes)), sizes))
    order = order[sizes[order] > 0]
    left = budget
    for place, stratum in enumerate(order):
        given[stratum] = min(int(sizes[stratum]), left // (len(order) - place))
        left -= int(given[stratum])
    return given
