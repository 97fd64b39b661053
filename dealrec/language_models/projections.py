"""The query and value projections of a decoder layer: layers of their own, or rows of a fused one."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from dealrec.language_models.structure import not_supported

LINEAR = (nn.Linear, Conv1D)
"""Layers ``y = W x + b``. That of GPT-2, ``Conv1D``, stores ``Wᵀ``."""


@dataclass(frozen=True)
class Projection:
    """A linear layer, or some of its outputs."""

    module: nn.Module
    rows: Tensor | None = None
    """[o] the outputs that belong to the projection; ``None`` if all do."""

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return shape(self.module)[0]

    @property
    def outputs(self) -> int:
        """The number of outputs that belong to the projection."""
        return shape(self.module)[1] if self.rows is None else len(self.rows)

    def own(self, outputs: Tensor) -> Tensor:
        """Return the projection's part of the layer's ``outputs`` [..., all]."""
        return outputs if self.rows is None else outputs[..., self.rows]


def shape(module: nn.Module) -> tuple[int, int]:
    """Return the numbers of inputs and outputs of a linear layer."""
    outputs, inputs = module.get_parameter("weight").shape
    return (outputs, inputs) if isinstance(module, Conv1D) else (inputs, outputs)


def projection(model: Any, layer: nn.Module, name: str) -> Projection:
    """Return the query (``q_proj``) or value projection (``v_proj``) of a decoder layer.

    Raises:
        InputError: ``model_not_supported`` if the layer has none, or has it in a fused layer whose order
            is not known.
    """
    found = _linear(layer, name)
    if found is not None:
        return Projection(found)
    fused = _fused(model.config)
    module = None if fused is None else _linear(layer, fused.name)
    if fused is None or module is None:
        there = [path for path, part in layer.named_modules() if isinstance(part, LINEAR)]
        raise not_supported(
            model,
            f"its last layer has no projection `{name}` (it has {', '.join(there)}). "
            "`parameters: last_block` measures the whole layer",
        )
    places = torch.arange(shape(module)[1], device=module.get_parameter("weight").device)
    heads = places.view(fused.groups, fused.queries + 2 * fused.values, -1)
    own = heads[:, : fused.queries] if name == "q_proj" else heads[:, -fused.values :]
    return Projection(module, own.flatten())


def _linear(layer: nn.Module, name: str) -> nn.Module | None:
    """Return the only linear layer whose path ends with ``name``."""
    found = [
        module
        for path, module in layer.named_modules()
        if path.rpartition(".")[2] == name and isinstance(module, LINEAR)
    ]
    return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class _Fused:
    """A layer that computes queries, keys and values.

    Its outputs are ``groups`` times: the queries of some heads, then the keys, then the values of some.
    """

    name: str
    groups: int
    queries: int
    """The heads of queries in a group."""
    values: int
    """The heads of values in a group; there are as many of keys."""


def _fused(config: Any) -> _Fused | None:
    """Return how the architectures of transformers with a fused layer order its outputs."""
    heads = getattr(config, "num_attention_heads", 0)
    match config.model_type:
        case "bloom" | "gpt_neox" | "gpt_neox_japanese" | "persimmon":
            return _Fused("query_key_value", heads, 1, 1)
        case "falcon" if config.new_decoder_architecture:
            groups = config.num_kv_heads
            return _Fused("query_key_value", groups, heads // groups, 1)
        case "falcon" if config.multi_query:
            return _Fused("query_key_value", 1, heads, 1)
        case "falcon":
            return _Fused("query_key_value", heads, 1, 1)
        case "gpt2":
            return _Fused("c_attn", 1, heads, heads)
        case "gpt_bigcode" if config.multi_query:
            return _Fused("c_attn", 1, heads, 1)
        case "gpt_bigcode":
            return _Fused("c_attn", heads, 1, 1)
        case "mpt":
            return _Fused("Wqkv", 1, heads, heads)
        case "phi3":
            return _Fused("qkv_proj", 1, heads, config.num_key_value_heads)
    return None
