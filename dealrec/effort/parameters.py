"""The parameter sets of effort: their layers, and the gradients that follow from the layers' factors."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dealrec.config.effort import EffortParameters, GradientOptions
from dealrec.effort.norms import gradient_norms, normalised, sum_norms, sums
from dealrec.effort.norms import gradients as weight_gradients
from dealrec.errors import FieldError, InputError
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.projections import LINEAR, Projection, projection


class MeasuredLayer(Protocol):
    """A layer of the language model and the parameters whose gradients follow from its factors.

    The arguments of the methods are those of :func:`~dealrec.effort.norms.gradient_norms`.
    """

    @property
    def module(self) -> nn.Module:
        """The layer whose inputs and output gradients are needed."""

    @property
    def sizes(self) -> list[int]:
        """The number of numbers in each parameter, in the order of :meth:`gradients`."""

    def squares(self, inputs: Tensor, gradients: Tensor, tokens: Tensor) -> Tensor:
        """Compute the [b] squared norms of the gradient over all the parameters."""

    def gradients(self, inputs: Tensor, gradients: Tensor, tokens: Tensor) -> list[Tensor]:
        """Compute the flattened gradient [b, p] of each parameter."""


@dataclass(frozen=True)
class LinearWeights:
    """Weight and bias of a projection, with the gradients ``Σ_t g_t x_tᵀ`` and ``Σ_t g_t``."""

    projection: Projection

    @property
    def module(self) -> nn.Module:
        return self.projection.module

    @property
    def sizes(self) -> list[int]:
        inputs, outputs = self.projection.inputs, self.projection.outputs
        return [outputs * inputs, outputs] if self._biased else [outputs * inputs]

    @property
    def _biased(self) -> bool:
        return self.module.bias is not None

    def squares(self, inputs: Tensor, gradients: Tensor, tokens: Tensor) -> Tensor:
        own = self.projection.own(gradients)
        squares = gradient_norms(inputs, own, tokens) ** 2
        return squares + sum_norms(own, tokens) ** 2 if self._biased else squares

    def gradients(self, inputs: Tensor, gradients: Tensor, tokens: Tensor) -> list[Tensor]:
        own = self.projection.own(gradients)
        found = [weight_gradients(inputs, own, tokens).flatten(1)]
        return [*found, sums(own, tokens)] if self._biased else found


@dataclass(frozen=True)
class NormWeights:
    """Weight and bias of a norm layer, with the gradients ``Σ_t g_t ⊙ x̂_t`` and ``Σ_t g_t``."""

    module: nn.Module

    @property
    def sizes(self) -> list[int]:
        return [parameter.numel() for parameter in self.module.parameters(recurse=False)]

    def squares(self, inputs: Tensor, gradients: Tensor, tokens: Tensor) -> Tensor:
        squares = sum_norms(gradients.float() * normalised(self.module, inputs), tokens) ** 2
        if getattr(self.module, "bias", None) is not None:
            squares = squares + sum_norms(gradients, tokens) ** 2
        return squares

    def gradients(self, inputs: Tensor, gradients: Tensor, tokens: Tensor) -> list[Tensor]:
        found = [sums(gradients.float() * normalised(self.module, inputs), tokens)]
        if getattr(self.module, "bias", None) is None:
            return found
        return [*found, sums(gradients, tokens)]


@dataclass(frozen=True)
class LoraWeights:
    """LoRA on a projection, ``y = W x + s B A x``, without dropout.

    With ``g`` the gradient of ``y``, the gradient of B is ``Σ_t g_t (s A x_t)ᵀ`` and the gradient
    of A is ``Σ_t (s Bᵀ g_t) x_tᵀ``. A fresh LoRA has B = 0: it changes no output, so it need not be
    attached, and the gradient of A is exactly zero.
    """

    projection: Projection
    down: Tensor
    """[r, i] the matrix ``s A``."""
    up: Tensor | None = None
    """[o, r] the matrix ``s B``; ``None`` if it is zero."""

    @property
    def module(self) -> nn.Module:
        return self.projection.module

    @property
    def sizes(self) -> list[int]:
        rank, inputs = self.down.shape
        of_up = self.projection.outputs * rank
        return [of_up] if self.up is None else [of_up, rank * inputs]

    def squares(self, inputs: Tensor, gradients: Tensor, tokens: Tensor) -> Tensor:
        own = self.projection.own(gradients)
        squares = gradient_norms(inputs.float() @ self.down.mT, own, tokens) ** 2
        if self.up is not None:
            squares = squares + gradient_norms(inputs, own.float() @ self.up, tokens) ** 2
        return squares

    def gradients(self, inputs: Tensor, gradients: Tensor, tokens: Tensor) -> list[Tensor]:
        own = self.projection.own(gradients)
        found = [weight_gradients(inputs.float() @ self.down.mT, own, tokens).flatten(1)]
        if self.up is not None:
            found.append(weight_gradients(inputs, own.float() @ self.up, tokens).flatten(1))
        return found


def measured_layers(
    loaded: LoadedLanguageModel, layer: nn.Module, config: GradientOptions
) -> list[MeasuredLayer]:
    """Find the parts of the last decoder layer that ``config.parameters`` names.

    The result is empty for a whole layer with parameters whose gradients do not follow from factors.

    Raises:
        InputError: ``model_not_supported`` if the layer lacks these parts; ``adapter_not_usable`` if
            the adapter adapts none of them.
    """
    model = loaded.model
    match config.parameters:
        case EffortParameters.V_PROJ:
            return [LinearWeights(projection(model, layer, "v_proj"))]
        case EffortParameters.LORA_B:
            return _fresh_lora(model, layer, config, ("v_proj",))
        case EffortParameters.LORA if config.adapter is not None:
            return _adapter(loaded, layer)
        case EffortParameters.LORA:
            return _fresh_lora(model, layer, config, ("v_proj", "q_proj"))
        case EffortParameters.LAST_BLOCK:
            return _all_weights(layer)
    raise AssertionError(config.parameters)


def lora_downs(config: GradientOptions, widths: list[int]) -> list[Tensor]:
    """Draw the matrices ``(α/r) A``, [r, width] each, from the seed.

    The distribution of A is that of the peft library: Kaiming uniform with a = √5.
    """
    generator = torch.Generator().manual_seed(config.seed)
    downs = []
    for width in widths:
        down = torch.empty(config.lora_rank, width)
        nn.init.kaiming_uniform_(down, a=math.sqrt(5), generator=generator)
        downs.append(down * (config.lora_alpha / config.lora_rank))
    return downs


def _fresh_lora(
    model: Any, layer: nn.Module, config: GradientOptions, names: tuple[str, ...]
) -> list[MeasuredLayer]:
    adapted = [projection(model, layer, name) for name in names]
    downs = lora_downs(config, [one.inputs for one in adapted])
    return [
        LoraWeights(one, down.to(model.device)) for one, down in zip(adapted, downs, strict=True)
    ]


def _adapter(loaded: LoadedLanguageModel, layer: nn.Module) -> list[MeasuredLayer]:
    """Return the merged adapter's A and B on the two projections, or on the fused layer with both."""
    names = ("v_proj", "q_proj")
    modules = dict.fromkeys(projection(loaded.model, layer, name).module for name in names)
    measured: list[MeasuredLayer] = []
    for module in modules:
        for path, factors in loaded.lora.items():
            if loaded.model.get_submodule(path) is module:
                down, up = (part.float() * factors.scale for part in (factors.down, factors.up))
                measured.append(LoraWeights(Projection(module), down, up))
    if not measured:
        raise InputError(
            "The adapter has no LoRA on the last layer's query or value projection.",
            code="adapter_not_usable",
            title="The adapter cannot be used",
            errors=[FieldError("config.effort.adapter", "nothing in it to measure")],
        )
    return measured


def _all_weights(layer: nn.Module) -> list[MeasuredLayer]:
    measured: list[MeasuredLayer] = []
    for module in layer.modules():
        own = dict(module.named_parameters(recurse=False))
        if isinstance(module, LINEAR):
            measured.append(LinearWeights(Projection(module)))
        elif own and own.keys() <= {"weight", "bias"} and own["weight"].dim() == 1:
            measured.append(NormWeights(module))
        elif own:
            return []
    return measured
