"""Per-sample gradients of a batch, with an autograd graph over the last decoder layer alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dealrec.config.effort import GradientOptions, Reduction
from dealrec.effort.parameters import MeasuredLayer, measured_layers
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.memory import run_in_halves
from dealrec.language_models.prefix import PrefixReuse, reuse_prefix
from dealrec.language_models.structure import find_structure, last_layer, not_supported
from dealrec.language_models.tokens import EncodedSample, Targets, loss_targets, padded
from dealrec.runtime import repeatable_attention

_LOGITS_AT_ONCE = 512
"""Positions whose logits are in memory together, a bound for large vocabularies."""


class GradientMeter:
    """Computes the per-sample gradients of batches on one language model.

    The loss of a sample is the mean or the sum of the cross-entropies of its tokens in the loss
    span. The gradient is taken with respect to parameters of the last decoder layer, see
    :mod:`dealrec.effort.parameters`.

    Args:
        loaded: The model.
        config: The parameters, the loss span and the reduction.
        prefix: The tokens that every sample begins with. If the architecture allows it, they run
            through the layers below the last only once.
        longest: The number of tokens of the longest sample.

    Raises:
        InputError: ``model_not_supported`` if the architecture lacks a part that is needed.
    """

    def __init__(
        self,
        loaded: LoadedLanguageModel,
        config: GradientOptions,
        prefix: Sequence[int] = (),
        longest: int = 0,
    ) -> None:
        self._model = loaded.model
        self._config = config
        self._device = loaded.device
        self._pad = loaded.tokenizer.pad_token_id or 0
        self._structure = find_structure(loaded.model)
        self._layer = last_layer(loaded.model, self._structure)
        self._measured = measured_layers(loaded, self._layer, config)
        self._reuse = reuse_prefix(loaded.model, self._structure, prefix, longest)
        self.halvings = 0
        """The number of batches that did not fit into memory."""
        self.prefix_tokens = 0
        """The number of tokens of each sample that ran through the lower layers beforehand."""
        self.prefix_reuse = "exact"
        """``exact``, or the reason why the prefix is not reused."""
        if isinstance(self._reuse, PrefixReuse):
            self.prefix_tokens = len(prefix)
        else:
            self.prefix_reuse = self._reuse

    @property
    def numbers(self) -> int:
        """The number of numbers in a sample's gradient."""
        return sum(sum(part.sizes) for part in self._measured)

    def norms(self, samples: Sequence[EncodedSample]) -> Tensor:
        """Compute the [b] float32 gradient norms in the order of ``samples``; see :meth:`measure`."""

        def norms(measured: Sequence[Measurement]) -> Tensor:
            return sum((one.squares() for one in measured), start=torch.zeros(())).sqrt()

        return self.measure(samples, norms)

    def measure(
        self,
        samples: Sequence[EncodedSample],
        reduce: Callable[[Sequence["Measurement"]], Tensor],
    ) -> Tensor:
        """Apply ``reduce`` to the samples' gradients and return its [b, …] results.

        ``reduce`` gets one measurement per measured part of the layer. If the accelerator's memory
        does not hold the batch, its halves are measured one after the other, down to single samples;
        :attr:`halvings` counts how often this happens.
        """
        parts: list[Tensor] = []

        def run(batch: Sequence[int]) -> None:
            parts.append(reduce(self._measurements([samples[index] for index in batch])))

        self.halvings += run_in_halves(range(len(samples)), run)
        return torch.cat(parts)

    def _measurements(self, samples: Sequence[EncodedSample]) -> list["Measurement"]:
        tokens = padded(samples, self._pad, self._device)
        targets = loss_targets(tokens, samples, self._config.loss_on)
        weights = _weights(targets, len(samples), self._config.reduction)
        decoder = self._reuse if isinstance(self._reuse, PrefixReuse) else self._structure
        with (
            repeatable_attention(self._device),
            _factors(self._layer, self._measured) as factors,
            torch.no_grad(),
        ):
            hidden = decoder.hidden_states(tokens)
            gradient = _hidden_gradient(hidden.detach(), targets, weights, self._structure.output)
        if len(factors) < len(self._measured) or any(
            factor.output.shape[:2] != tokens.shape for factor in factors.values()
        ):
            raise not_supported(self._model, "a part of its last layer does not see every token")
        ordered = [factors[number] for number in range(len(factors))]
        gradients = torch.autograd.grad(hidden, [factor.output for factor in ordered], gradient)
        lengths = torch.tensor([len(sample) for sample in samples], device=self._device)
        own = torch.arange(tokens.shape[1], device=self._device) < lengths[:, None]
        return [
            Measurement(part, factor.input, back, own)
            for part, factor, back in zip(self._measured, ordered, gradients, strict=True)
        ]


@dataclass(frozen=True)
class Measurement:
    """The factors of a batch's gradients at one measured part of the layer."""

    part: MeasuredLayer
    inputs: Tensor
    """[b, t, i] the inputs of the part."""
    output_gradients: Tensor
    """[b, t, …, o] the gradients of the summed losses by the part's outputs."""
    own: Tensor
    """[b, t] bool, true for a sample's own tokens and false for padding."""

    def squares(self) -> Tensor:
        """Compute the [b] squared gradient norms."""
        return self.part.squares(self.inputs, self.output_gradients, self.own)

    def gradients(self) -> list[Tensor]:
        """Compute the flattened gradient [b, p] of each parameter."""
        return self.part.gradients(self.inputs, self.output_gradients, self.own)


@dataclass(frozen=True)
class _Factor:
    """The input of a layer and its output, which is part of the graph."""

    input: Tensor
    output: Tensor


@contextmanager
def _factors(layer: nn.Module, measured: Sequence[MeasuredLayer]) -> Iterator[dict[int, _Factor]]:
    """Start the graph at the beginning of ``layer`` and record the factors of the measured parts.

    The keys of the result are places in ``measured``. The decoder must run inside
    ``torch.no_grad``, so that the layers below keep no activations. An output without a graph
    becomes a leaf, so the graph extends from the measured parts to the hidden states and no further.
    """
    held: dict[int, _Factor] = {}

    def begin(*_: Any) -> None:
        torch.set_grad_enabled(True)

    def hold(number: int) -> Any:
        def hook(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            made = output if output.requires_grad else output.detach().requires_grad_()
            held[number] = _Factor(inputs[0].detach(), made)
            return made

        return hook

    handles = [layer.register_forward_pre_hook(begin)]
    handles += [
        part.module.register_forward_hook(hold(number)) for number, part in enumerate(measured)
    ]
    try:
        yield held
    finally:
        for handle in handles:
            handle.remove()


def _weights(targets: Targets, samples: int, reduction: Reduction) -> Tensor:
    """Compute the [m] weight of each target in its sample's loss."""
    if reduction is Reduction.SUM:
        return torch.ones(len(targets), device=targets.rows.device)
    return 1.0 / torch.bincount(targets.rows, minlength=samples)[targets.rows]


def _hidden_gradient(
    hidden: Tensor, targets: Targets, weights: Tensor, output: nn.Module
) -> Tensor:
    """Compute the gradient [b, t, h] of the summed sample losses by the final hidden states.

    Only the targets get logits, some at a time; their losses are computed in float32.
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
