"""Norms of per-sample gradients, from what a layer was given and what came back to it.

Every sample has its own tokens, so its gradient is a product of its own factors: nothing is added
up over a batch and taken apart again, and there is no loop over samples.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call


def gradient_norms(inputs: Tensor, output_gradients: Tensor, tokens: Tensor) -> Tensor:
    """[b] Frobenius norms of ``G = Σ_t g_t x_tᵀ``, a linear layer's gradient, in float32.

    Args:
        inputs: [b, t, i] ``x``.
        output_gradients: [b, t, o] ``g``.
        tokens: [b, t] true for a sample's own tokens; padding contributes exactly nothing,
            whatever it holds.

    The norm is taken from the [o, i] gradient itself, or from the tokens' Gram matrices,
    ``‖G‖² = Σ_tt' (x_t·x_t')(g_t·g_t')``, whichever takes fewer multiplications.
    """
    x, g = _own(inputs, tokens), _own(output_gradients, tokens)
    length, width, height = x.shape[1], x.shape[2], g.shape[2]
    if length * (width + height) < width * height:
        squares = (x @ x.mT * (g @ g.mT)).sum((1, 2))
        return squares.clamp(min=0.0).sqrt()
    norms: Tensor = torch.linalg.vector_norm(g.mT @ x, dim=(1, 2))
    return norms


def gradients(inputs: Tensor, output_gradients: Tensor, tokens: Tensor) -> Tensor:
    """[b, o, i] ``G`` itself, in float32; arguments as in :func:`gradient_norms`."""
    return _own(output_gradients, tokens).mT @ _own(inputs, tokens)


def sums(values: Tensor, tokens: Tensor) -> Tensor:
    """[b, d] ``Σ_t v_t`` over a sample's own tokens, of [b, t, …, d], in float32.

    Further dimensions (heads) are summed like tokens: with ``v = g`` the gradient of a bias, with
    ``v = g ⊙ x̂`` that of a norm's weight.
    """
    return _own(values, tokens).flatten(1, -2).sum(1)


def sum_norms(values: Tensor, tokens: Tensor) -> Tensor:
    """[b] norms of :func:`sums`."""
    norms: Tensor = torch.linalg.vector_norm(sums(values, tokens), dim=-1)
    return norms


def normalised(norm: nn.Module, inputs: Tensor) -> Tensor:
    """``x̂`` of a norm layer ``w ⊙ x̂ + b``, or ``(1 + w) ⊙ x̂ + b``, like ``inputs``.

    The layer is affine in ``w``, so ``x̂`` is what one more in every weight adds to its output.
    """
    weight: Tensor = norm.get_parameter("weight")
    one, zero = (
        functional_call(norm, {"weight": fill(weight)}, (inputs,)).float()
        for fill in (torch.ones_like, torch.zeros_like)
    )
    difference: Tensor = one - zero
    return difference


def _own(values: Tensor, tokens: Tensor) -> Tensor:
    """``values`` [b, t, …] in float32, zero in the padding."""
    padding = ~tokens.reshape(*tokens.shape, *[1] * (values.dim() - 2))
    return values.float().masked_fill(padding, 0.0)
