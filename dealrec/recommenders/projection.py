"""Where the projection of an encoder starts: the whitening of the titles' states."""

import torch
from torch import Tensor

_SMOOTHING = 0.01
"""A share of the mean variance that is added to each, so that directions of noise are not blown up."""


def whitening(states: Tensor, dimensions: int) -> tuple[Tensor, Tensor]:
    """Compute the weights [d, h] and the bias [d] that centre and whiten ``states`` [n, h].

    The ``d`` principal directions are kept and scaled to equal variance: states of language models lie
    in a narrow cone, in which cosines say little (Su et al., "Whitening Sentence Representations for
    Better Semantics and Faster Retrieval", arXiv 2103.15316).
    """
    wide = states.double()
    centre = wide.mean(0)
    moved = wide - centre
    variances, directions = torch.linalg.eigh(moved.T @ moved / max(1, len(wide)))
    variances, directions = variances.flip(0)[:dimensions], directions.flip(1)[:, :dimensions]
    smoothed = variances.clamp(min=0) + _SMOOTHING * variances.clamp(min=0).mean() + 1e-12
    weights = (directions / smoothed.sqrt()).T
    return weights.float().contiguous(), -(weights @ centre).float()
