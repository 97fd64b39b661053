"""Per-sample gradients of a batch, with an autograd graph over the last decoder layer alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dealrec.config.effort import EffortParameters, GradientOptions, Reduction
from dealrec.effort.layouts import Layout
from dealrec.effort.parameters import MeasuredLayer, measured_layers
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.memory import run_in_halves
from dealrec.language_models.prefix import PrefixReuse, reuse_prefix
from dealrec.language_models.structure import find_structure, last_layer, not_supported
from dealrec.language_models.tokens import EncodedSample, Targets, loss_targets, padded
from dealrec.runtime import repeatable_attention

_LOGITS_AT_ONCE = 512
"""Positions whose logits are in memory together, a bound for large vocabularies."""
_TRIED = 19
"""The tokens of a trial text; no model has so many heads."""


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
        self._layouts = self._seen_layouts()
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

    def _seen_layouts(self) -> list[Layout]:
        """Learn on two short texts how each measured part sees a batch.

        A whole layer of which a part does not see every token has no factors.
        """
        tokens = torch.arange(2 * _TRIED, device=self._device).view(2, _TRIED)
        tokens %= self._model.config.vocab_size
        with _factors(self._layer, self._measured) as factors, torch.no_grad():
            self._structure.hidden_states(tokens)
        seen = [Layout.of(factors[n].output.shape, *tokens.shape) for n in sorted(factors)]
        layouts = [layout for layout in seen if layout is not None]
        if len(layouts) == len(self._measured):
            return layouts
        if self._config.parameters is not EffortParameters.LAST_BLOCK:
            raise not_supported(self._model, "a part of its last layer does not see every token")
        self._measured = []
        return []

    @property
    def numbers(self) -> int:
        """The number of numbers in a sample's gradient."""
        if not self._measured:
            return sum(weight.numel() for weight in self._layer.parameters())
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

        for batch in self._batches(len(samples)):
            self.halvings += run_in_halves(batch, run)
        return torch.cat(parts)

    def _batches(self, count: int) -> list[Sequence[int]]:
        """Return one batch, or one for each sample where gradients do not follow from factors."""
        return [range(count)] if self._measured else [[index] for index in range(count)]

    def _measurements(self, samples: Sequence[EncodedSample]) -> list["Measurement"]:
        tokens = padded(samples, self._pad, self._device)
        targets = loss_targets(tokens, samples, self._config.loss_on)
        weights = _weights(targets, len(samples), self._config.reduction)
        decoder = self._reuse if isinstance(self._reuse, PrefixReuse) else self._structure
        with (
            repeatable_attention(self._device),
            _factors(self._layer, self._measured) as factors,
            _parameters_in_graph(None if self._measured else self._layer) as parameters,
            torch.no_grad(),
        ):
            hidden = decoder.hidden_states(tokens)
            gradient = _hidden_gradient(hidden.detach(), targets, weights, self._structure.logits)
            if parameters:
                found = torch.autograd.grad(
                    hidden, parameters, gradient, allow_unused=True, materialize_grads=True
                )
                return [WholeGradients([one.float().reshape(1, -1) for one in found])]
        ordered = [factors[number] for number in range(len(factors))]
        gradients = torch.autograd.grad(hidden, [factor.output for factor in ordered], gradient)
        lengths = torch.tensor([len(sample) for sample in samples], device=self._device)
        own = torch.arange(tokens.shape[1], device=self._device) < lengths[:, None]
        return [
            FactoredGradients(
                part,
                layout.by_tokens(factor.input, len(samples)),
                layout.by_tokens(back, len(samples)),
                own,
            )
            for part, layout, factor, back in zip(
                self._measured, self._layouts, ordered, gradients, strict=True
            )
        ]


class Measurement(Protocol):
    """The gradients of a batch by some parameters of the layer."""

    @property
    def sizes(self) -> list[int]:
        """The number of numbers in each parameter, in the order of :meth:`gradients`."""

    def squares(self) -> Tensor:
        """Compute the [b] squared gradient norms."""

    def gradients(self) -> list[Tensor]:
        """Compute the flattened gradient [b, p] of each parameter."""


@dataclass(frozen=True)
class FactoredGradients:
    """The factors of a batch's gradients at one measured part of the layer."""

    part: MeasuredLayer
    inputs: Tensor
    """[b, t, i] the inputs of the part."""
    output_gradients: Tensor
    """[b, t, …, o] the gradients of the summed losses by the part's outputs."""
    own: Tensor
    """[b, t] bool, true for a sample's own tokens and false for padding."""

    @property
    def sizes(self) -> list[int]:
        return self.part.sizes

    def squares(self) -> Tensor:
        return self.part.squares(self.inputs, self.output_gradients, self.own)

    def gradients(self) -> list[Tensor]:
        return self.part.gradients(self.inputs, self.output_gradients, self.own)


@dataclass(frozen=True)
class WholeGradients:
    """The gradients of one sample by all parameters of the layer, as autograd gives them."""

    found: list[Tensor]
    """[1, p] for each parameter."""

    @property
    def sizes(self) -> list[int]:
        return [one.shape[1] for one in self.found]

    def squares(self) -> Tensor:
        return sum((one.square().sum(1) for one in self.found), start=self.found[0].new_zeros(1))

    def gradients(self) -> list[Tensor]:
        return self.found


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


@contextmanager
def _parameters_in_graph(layer: nn.Module | None) -> Iterator[list[nn.Parameter]]:
    """Give ``layer`` other parameters over the same numbers, which are part of the graph.

    Its own are shared with other threads, which may run outside a graph meanwhile.
    """
    places = [
        (module, name, own)
        for module in ([] if layer is None else layer.modules())
        for name, own in module.named_parameters(recurse=False)
    ]
    given = [nn.Parameter(own.detach()) for _, _, own in places]
    for (module, name, _), parameter in zip(places, given, strict=True):
        setattr(module, name, parameter)
    try:
        yield given
    finally:
        for module, name, own in places:
            setattr(module, name, own)


def _weights(targets: Targets, samples: int, reduction: Reduction) -> Tensor:
    """Compute the [m] weight of each target in its sample's loss."""
    if reduction is Reduction.SUM:
        return torch.ones(len(targets), device=targets.rows.device)
    return 1.0 / torch.bincount(targets.rows, minlength=samples)[targets.rows]


def _hidden_gradient(
    hidden: Tensor, targets: Targets, weights: Tensor, logits: Callable[[Tensor], Tensor]
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
                logits(states).float(), targets.labels[part], reduction="none"
            )
            total = (losses * weights[part]).sum()
        (gradient[rows, positions],) = torch.autograd.grad(total, states)
    return gradient
