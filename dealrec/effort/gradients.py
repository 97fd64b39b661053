"""Per-sample gradient norms of a batch, with a graph over the last decoder layer only."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from dealrec.config.effort import EffortConfig, EffortParameters, Reduction
from dealrec.effort.norms import gradient_norms
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.structure import find_structure, last_value_projection
from dealrec.language_models.tokens import EncodedSample, Targets, loss_targets, padded

_LOGITS_AT_ONCE = 512
"""Positions whose logits are held together: bounds memory for large vocabularies."""


class EffortMeter:
    """Measures the effort of batches of samples on one language model.

    The loss of a sample is the cross-entropy of its tokens in the loss span, their mean or sum.
    The gradient is taken with respect to the last layer's value projection, or to B of a fresh
    LoRA on it. With B = 0 the adapter changes no output, so the gradient of B is
    ``Σ_t g_t a_tᵀ`` with ``a_t = (α/r) A x_t``, and nothing needs to be attached.

    Raises:
        InputError: ``model_not_supported`` for an architecture without the parts this needs.
    """

    def __init__(self, loaded: LoadedLanguageModel, config: EffortConfig) -> None:
        self._config = config
        self._device = loaded.device
        self._pad = loaded.tokenizer.pad_token_id or 0
        self._structure = find_structure(loaded.model)
        self._layer, self._value = last_value_projection(loaded.model, self._structure)
        self._down = None
        if config.parameters is EffortParameters.LORA_B:
            self._down = lora_down(config, self._value.in_features).to(self._device)

    def norms(self, samples: Sequence[EncodedSample]) -> Tensor:
        """[b] float32 gradient norms, in the order of ``samples``."""
        tokens = padded(samples, self._pad, self._device)
        targets = loss_targets(tokens, samples, self._config.loss_on)
        weights = _weights(targets, len(samples), self._config.reduction)
        with _value_factors(self._layer, self._value) as factors, torch.no_grad():
            hidden = self._structure.hidden_states(tokens)
            gradient = _hidden_gradient(hidden.detach(), targets, weights, self._structure.output)
        (output_gradients,) = torch.autograd.grad(hidden, factors["output"], gradient)
        lengths = torch.tensor([len(sample) for sample in samples], device=self._device)
        own = torch.arange(tokens.shape[1], device=self._device) < lengths[:, None]
        inputs = factors["input"]
        if self._down is not None:
            inputs = inputs.float() @ self._down.mT
        return gradient_norms(inputs, output_gradients, own)


def lora_down(config: EffortConfig, width: int) -> Tensor:
    """[r, width] ``(α/r) A``, A drawn from the seed as peft draws it (Kaiming uniform, a = √5)."""
    generator = torch.Generator().manual_seed(config.seed)
    down = torch.empty(config.lora_rank, width)
    nn.init.kaiming_uniform_(down, a=math.sqrt(5), generator=generator)
    return down * (config.lora_alpha / config.lora_rank)


@contextmanager
def _value_factors(layer: nn.Module, value: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Switch the graph on where ``layer`` begins, and hold ``value``'s input and output.

    Run the decoder inside ``torch.no_grad``: everything below the layer then keeps no activations.
    The output of ``value`` becomes a leaf, so the graph leads from it to the hidden states and
    nowhere else.
    """
    factors: dict[str, Tensor] = {}

    def begin(*_: Any) -> None:
        torch.set_grad_enabled(True)

    def hold(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        factors["input"] = inputs[0].detach()
        factors["output"] = output.detach().requires_grad_()
        return factors["output"]

    handles = [layer.register_forward_pre_hook(begin), value.register_forward_hook(hold)]
    try:
        yield factors
    finally:
        for handle in handles:
            handle.remove()


def _weights(targets: Targets, samples: int, reduction: Reduction) -> Tensor:
    """[m] of each target in its sample's loss."""
    if reduction is Reduction.SUM:
        return torch.ones(len(targets), device=targets.rows.device)
    return 1.0 / torch.bincount(targets.rows, minlength=samples)[targets.rows]


def _hidden_gradient(
    hidden: Tensor, targets: Targets, weights: Tensor, output: nn.Module
) -> Tensor:
    """[b, t, h] gradient of the summed sample losses with respect to the final hidden states.

    Logits are made for the targets only, a few at a time, and their loss in float32.
    """
    gradient = torch.zeros_like(hidden)
    for first in range(0, len(targets), _LOGITS_AT_ONCE):
        part = slice(first, first + _LOGITS_AT_ONCE)
        rows, positions = targets.rows[part], targets.positions[part]
        with torch.enable_grad():
            states = hidden[rows, positions].requires_grad_()
            losses = nn.functional.cross_entropy(
                output(states).float(), targets.labels[part], reduction="none"
            )
            total = (losses * weights[part]).sum()
        (gradient[rows, positions],) = torch.autograd.grad(total, states)
    return gradient
