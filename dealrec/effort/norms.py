"""Norms of per-sample gradients of a linear layer, from its inputs and output gradients.

For a linear layer with inputs ``x_t`` and output gradients ``g_t`` a sample's gradient is
``G = Σ_t g_t x_tᵀ``. A batch's gradients are never added up and taken apart again: each sample has
its own tokens, so its ``G`` is a product of its own two factors.
"""

import torch
from torch import Tensor


def gradient_norms(inputs: Tensor, output_gradients: Tensor, tokens: Tensor) -> Tensor:
    """[b] Frobenius norms of ``Σ_t g_t x_tᵀ``, in float32.

    Args:
        inputs: [b, t, i] ``x``.
        output_gradients: [b, t, o] ``g``.
        tokens: [b, t] true for a sample's own tokens; padding contributes exactly nothing,
            whatever it holds.

    The norm is taken from the [o, i] gradient itself, or from the tokens' Gram matrices,
    ``‖G‖² = Σ_tt' (x_t·x_t')(g_t·g_t')``, whichever takes fewer multiplications.
    """
    padding = ~tokens[..., None]
    x = inputs.float().masked_fill(padding, 0.0)
    g = output_gradients.float().masked_fill(padding, 0.0)
    length, width, height = x.shape[1], x.shape[2], g.shape[2]
    if length * (width + height) < width * height:
        squares = (x @ x.mT * (g @ g.mT)).sum((1, 2))
        return squares.clamp(min=0.0).sqrt()
    norms: Tensor = torch.linalg.vector_norm(g.mT @ x, dim=(1, 2))
    return norms
