"""The losses that DCRec adds in training: contrast of views, weighted by conformity (Yang et al., WWW 2023).

Formulas follow section 3 of arXiv 2303.11780 and the authors' code where the paper leaves them open.
"""

import torch
from torch import Tensor

from dealrec.surrogates.sparse import Sparse, product

_SPREAD = 0.1
"""The standard deviation of the conformity that is aimed at."""
_LEAST = 1e-8


def contrast(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Compute ``−log(exp(c_mm / τ) / Σ_n exp(c_mn / τ))``, [M], of the cosines of two views [M, d]."""
    cosines = (
        torch.nn.functional.normalize(first, dim=1) @ torch.nn.functional.normalize(second, dim=1).T
    )
    return -(cosines / temperature).log_softmax(1).diagonal()


def without_pairs(graph: Sparse, first: Tensor, second: Tensor) -> Sparse:
    """Return the symmetric graph [I, I] without the edges between items of [P] pairs, in both directions.

    The values of other edges stay as they are, and so does the diagonal.
    """
    rows, columns = graph.places
    keys, size = rows * graph.shape[1] + columns, graph.shape[1]
    here = first != second
    wanted = torch.cat([(first * size + second)[here], (second * size + first)[here]])
    places = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)  # the keys ascend
    kept = torch.ones_like(keys, dtype=torch.bool)
    kept[places[keys[places] == wanted]] = False
    return Sparse(graph.places, graph.values * kept, graph.shape)


def conformity_weights(
    graph: Sparse,
    others: Sparse,
    view: Tensor,
    alone: Tensor,
    items: Tensor,
    first: Tensor,
    mean: float,
) -> Tensor:
    """Compute the conformity ``ω`` of ``M`` positions, [M].

    With ``N(i)`` the neighbours of an item in the whole graph, ``F(i)`` those without the sequences of the
    batch, and means over them, it is the sigmoid of the mean of three cosines::

        cos(z_i, z'_i),   cos(z_i, mean_{F(i)} z),   cos(mean_{N(i) − F(i)} z, mean_{F(i)} z)

    brought to begin at 0 and to have the given ``mean``. Positions without an item before them have 0.5.

    Args:
        graph: The whole graph, symmetric.
        others: The graph without the sequences of the batch, with values of 0 at their edges.
        view: [I, d] the view ``z`` of the items from the whole graph.
        alone: [I, d] the view ``z'`` from the graph without the sequences of the batch.
        items: [M] the items at the positions.
        first: [M] whether a position is the first of its sequence.
        mean: The mean that ``ω`` is brought to.
    """
    kept = (others.values != 0).to(view.dtype)
    foreign = _mean_of_neighbours(graph, kept, view)
    civil = _mean_of_neighbours(graph, 1 - kept, view)
    cosine = torch.nn.functional.cosine_similarity
    agreement = (
        cosine(view[items], alone[items])
        + cosine(view[items], foreign[items])
        + cosine(civil[items], foreign[items])
    ) / 3
    weights = torch.sigmoid(agreement)
    least, most = weights.min(), weights.max()
    weights = (weights - least) / (most - least).clamp(min=_LEAST)
    weights = weights * (mean / weights.mean().clamp(min=_LEAST))
    return torch.where(first, 0.5, weights)


def conformity_divergence(weights: Tensor, mean: float) -> Tensor:
    """Compute ``KL(p ‖ softmax(ω))`` of [M] weights in order, ``p`` draws of ``N(mean, 0.1)`` in order.

    The draws come from torch's global random state on the CPU, and are divided by their sum, so that ``p``
    is a distribution; the authors' code leaves them as they are.
    """
    draws = torch.normal(mean, _SPREAD, weights.shape).clamp(min=_LEAST).sort().values
    p = (draws / draws.sum()).to(weights)
    return (p * (p.log() - weights.sort().values.log_softmax(0))).sum()


def _mean_of_neighbours(graph: Sparse, values: Tensor, view: Tensor) -> Tensor:
    """Compute the means [I, d] of the views of neighbours, of the edges whose values are 1; 0 of none."""
    edges = Sparse(graph.places, values, graph.shape)
    counts = torch.zeros_like(view[:, 0]).index_add_(0, graph.places[0], values.to(view.dtype))
    return product(view, edges, edges) / counts.clamp(min=1)[:, None]
