"""Per-sample gradients and their norms, from a layer's inputs and the gradients of its outputs.

A sample's gradient is a product of the factors of its own tokens. So per-sample gradients need no
loop over samples, and no sum over the batch that would have to be taken apart again.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call


def gradient_norms(inputs: Tensor, output_gradients: Tensor, tokens: Tensor) -> Tensor:
    """Compute the [b] float32 Frobenius norms of a linear layer's gradients ``G = Σ_t g_t x_tᵀ``.

    The norm comes from the [o, i] gradient itself or from the Gram matrices of the tokens,
    ``‖G‖² = Σ_tt' (x_t·x_t')(g_t·g_t')``, whichever takes fewer multiplications.

    Args:
        inputs: [b, t, i] the inputs ``x``.
        output_gradients: [b, t, o] the gradients ``g`` of the outputs.
        tokens: [b, t] bool, true for a sample's own tokens. Padding contributes exactly zero,
            whatever its values are.
    """
    x, g = _own(inputs, tokens), _own(output_gradients, tokens)
    length, width, height = x.shape[1], x.shape[2], g.shape[2]
    if length * (width + height) < width * height:
        squares = (x @ x.mT * (g @ g.mT)).sum((1, 2))
        return squares.clamp(min=0.0).sqrt()
    norms: Tensor = torch.linalg.vector_norm(g.mT @ x, dim=(1, 2))
    return norms


def gradients(inputs: Tensor, output_gradients: Tensor, tokens: Tensor) -> Tensor:
    """Compute the [b, o, i] float32 gradients ``G``; the arguments are as in :func:`gradient_norms`."""
    return _own(output_gradients, tokens).mT @ _own(inputs, tokens)


def sums(values: Tensor, tokens: Tensor) -> Tensor:
    """Sum [b, t, …, d] values over a sample's own tokens: ``Σ_t v_t``, [b, d] float32.

    Further dimensions (heads) are summed like tokens. With ``v = g`` the sum is the gradient of a
    bias, with ``v = g ⊙ x̂`` the gradient of a norm layer's weight.
    """
    return _own(values, tokens).flatten(1, -2).sum(1)


def sum_norms(values: Tensor, tokens: Tensor) -> Tensor:
    """Compute the [b] norms of :func:`sums`."""
    norms: Tensor = torch.linalg.vector_norm(sums(values, tokens), dim=-1)
    return norms


def normalised(norm: nn.Module, inputs: Tensor) -> Tensor:
    """Compute ``x̂`` of a norm layer ``w ⊙ x̂ + b`` or ``(1 + w) ⊙ x̂ + b``, in the shape of ``inputs``.

    The layer is affine in ``w``, so ``x̂`` is its output with weights 1 less its output with weights 0.
    """
    weight: Tensor = norm.get_parameter("weight")
    one, zero = (
        functional_call(norm, {"weight": fill(weight)}, (inputs,)).float()
        for fill in (torch.ones_like, torch.zeros_like)
    )
    difference: Tensor = one - zero
    return difference


def _own(values: Tensor, tokens: Tensor) -> Tensor:
    """Return ``values`` [b, t, …] in float32 with zeros in the padding."""
    padding = ~tokens.reshape(*tokens.shape, *[1] * (values.dim() - 2))
    return values.float().masked_fill(padding, 0.0)
