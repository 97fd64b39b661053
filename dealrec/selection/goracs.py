"""``goracs``: a coreset with large gradients that is near the validation samples as a whole."""

from heapq import heapify, heapreplace
from itertools import product

import numpy as np

from dealrec.config import SelectionConfig
from dealrec.selection.interface import Float32, Float64, Int64, Scores, Selection, priorities
from dealrec.selection.normalisation import overall_score
from dealrec.selection.results import as_one

_CANDIDATES = 30
"""The number of selected and of other samples that are tried for exchanges (published code)."""
_BLOCK = 4096
_TINY = float(np.finfo(np.float32).tiny)


def select_by_transport(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Minimise the proxy objective of Mei et al., KDD 2025 (*GORACS*, arXiv 2506.04015).

    The cost is ``c_sv = d_sv − λ g_s``, where ``d`` is the distance of embeddings and ``g`` the gradient
    norm of the language model (the effort). Both are divided by their largest value, and ``c`` is then
    normalised to [0, 1]. The objective is the cost of the optimal transport between the coreset and the
    validation samples, both with uniform weights.

    1. Greedy search: take the sample that lowers ``Σ_v min_s c_sv`` most, again and again. When no
       sample lowers it any more (with fewer validation samples than the budget), the search begins
       anew with the remaining samples; the published code goes on in the order of rows.
    2. Refinement: at most ``exchanges`` times a selected sample is exchanged for another if that lowers
       the transport cost. The potentials of the transport rank the pairs: the dual stays feasible for
       a sample ``o`` with ``u_o = min_v (c_ov − w_v)``, so pairs are tried by ``u_s − u_o``. The
       published bound is sharper and needs several matrices of the size of ``c``.
    """
    assert scores.effort is not None
    drawn = np.argsort(priorities(scores, config.seed), kind="stable")
    cost = _costs(scores, drawn, config.gradient_weight)
    taken = _refined(cost, _greedy(cost, budget), config.exchanges)
    return as_one(drawn[taken].astype(np.int64), overall_score(scores, config))


def _costs(scores: Scores, order: Int64, gradient_weight: float) -> Float32:
    """[n, m] costs in [0, 1], with the samples in ``order``."""
    assert scores.embedding is not None and scores.embedding.validation is not None
    assert scores.effort is not None
    targets = np.asarray(scores.embedding.validation)
    lengths = np.einsum("md,md->m", targets, targets)
    cost = np.empty((len(order), len(targets)), dtype=np.float32)
    for start in range(0, len(order), _BLOCK):
        rows = scores.embedding.samples[order[start : start + _BLOCK]]
        squares = -2 * (rows @ targets.T)
        squares += np.einsum("nd,nd->n", rows, rows)[:, None] + lengths
        np.sqrt(np.maximum(squares, 0), out=cost[start : start + _BLOCK])
    cost /= max(float(cost.max()), _TINY)
    largest = max(float(scores.effort.max()), _TINY)
    cost -= (gradient_weight * scores.effort[order] / largest).astype(np.float32)[:, None]
    cost -= cost.min()
    cost /= max(float(cost.max()), _TINY)
    return cost


def _greedy(cost: Float32, budget: int) -> Int64:
    """[budget] rows of the greedy search.

    The gain of a row only shrinks while others are taken, so few rows need a second look.
    """
    taken: list[int] = []
    free = np.ones(len(cost), dtype=np.bool_)
    while len(taken) < budget:
        covered = np.ones(cost.shape[1], dtype=np.float32)  # no cost is above 1
        rows = np.flatnonzero(free).tolist()
        gains = (cost.shape[1] - cost.sum(axis=1, dtype=np.float64))[free]
        queue = [(-gain, row, len(taken)) for gain, row in zip(gains.tolist(), rows, strict=True)]
        heapify(queue)
        first = True
        while len(taken) < budget:
            gain, row, known = queue[0]
            if known < len(taken):
                fresh = float(np.maximum(covered - cost[row], 0).sum(dtype=np.float64))
                heapreplace(queue, (-fresh if free[row] else np.inf, row, len(taken)))
                continue
            if not first and gain >= 0:
                break
            taken.append(row)
            free[row], first = False, False
            np.minimum(covered, cost[row], out=covered)
    return np.array(taken, dtype=np.int64)


def _refined(cost: Float32, taken: Int64, exchanges: int) -> Int64:
    """Return ``taken`` after the exchanges that lower the transport cost."""
    free = np.setdiff1d(np.arange(len(cost)), taken)
    if not len(free) or not exchanges:
        return taken
    best, inner, outer = _transport(cost, taken)
    pairs = _pairs(cost, free, inner, outer)
    for _ in range(exchanges):
        if not pairs:
            break
        leaves, enters = pairs.pop(0)
        tried = taken.copy()
        tried[leaves] = free[enters]
        value, *potentials = _transport(cost, tried)
        if value < best:
            free[enters], taken, best = taken[leaves], tried, value
            pairs = _pairs(cost, free, *potentials)
    return taken


def _transport(cost: Float32, taken: Int64) -> tuple[float, Float64, Float64]:
    """Return the transport cost, and the potentials of the taken and the validation samples."""
    import ot

    rows = cost[taken].astype(np.float64)
    size, targets = rows.shape
    value, log = ot.emd2(
        np.full(size, 1 / size),
        np.full(targets, 1 / targets),
        rows,
        numItermax=1_000_000,
        log=True,
    )
    return float(value), np.asarray(log["u"]), np.asarray(log["v"])


def _pairs(cost: Float32, free: Int64, inner: Float64, outer: Float64) -> list[tuple[int, int]]:
    """Iterate over the places in ``taken`` and ``free`` to exchange, the most promising first."""
    reach = np.empty(len(free))
    for start in range(0, len(free), _BLOCK):
        block = cost[free[start : start + _BLOCK]]
        reach[start : start + _BLOCK] = (block - outer).min(axis=1)
    leaving = np.argsort(-inner, kind="stable")[:_CANDIDATES].tolist()
    entering = np.argsort(reach, kind="stable")[:_CANDIDATES].tolist()
    promising = [pair for pair in product(leaving, entering) if inner[pair[0]] > reach[pair[1]]]
    return sorted(promising, key=lambda pair: reach[pair[1]] - inner[pair[0]])
