"""The layers that LoRA adapts: by name, by the family of the model, or all linear ones."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from dealrec.config.finetune import ALL_LINEAR
from dealrec.config.language_models import require_modules
from dealrec.config.model_entry import AUTO
from dealrec.language_models.projections import LINEAR

_READ_DIRECTLY = {
    "mamba": {"out_proj", "dt_proj"},
    "mamba2": {"out_proj"},
    "falcon_mamba": {"out_proj", "dt_proj"},
    "falcon_h1": {"out_proj"},
    "nemotron_h": {"out_proj"},
}
"""Layers whose weights the architecture reads without calling them, so that LoRA would change nothing."""
_ATTENTION = (
    {"q_proj", "v_proj"},
    {"qkv_proj"},
    {"query_key_value"},
    {"Wqkv"},
    {"c_attn"},
)
"""The projections of queries and values, in families that peft has no names for."""


def target_modules(model: Any, name: str, wanted: Sequence[str]) -> list[str]:
    """Return the names that peft is given, sorted.

    Args:
        model: The language model; it may be without weights.
        name: Its name in messages.
        wanted: ``("auto",)`` for those that peft adapts in the model's family, ``("all-linear",)``, or
            names and ends of paths.

    Raises:
        InputError: ``unknown_target_modules`` if the model lacks one of these.
    """
    if tuple(wanted) == (AUTO,):
        return _of_family(model)
    if tuple(wanted) == (ALL_LINEAR,):
        return _all_linear(model)
    require_modules(name, wanted, _adaptable(model))
    return sorted(wanted)


def _adaptable(model: Any) -> list[str]:
    """Return the paths of the layers that LoRA can adapt."""
    kinds, unfit = (*LINEAR, nn.Embedding), _READ_DIRECTLY.get(model.config.model_type, set())
    return [
        path
        for path, module in model.named_modules()
        if isinstance(module, kinds) and path.rpartition(".")[2] not in unfit
    ]


def _all_linear(model: Any) -> list[str]:
    """Return the names of all linear layers but the output layer, as peft's ``all-linear`` does."""
    output = model.get_output_embeddings()
    modules = ((path, model.get_submodule(path)) for path in _adaptable(model))
    linear = [p for p, one in modules if isinstance(one, LINEAR) and one is not output]
    return sorted({path.rpartition(".")[2] for path in linear})


def _of_family(model: Any) -> list[str]:
    """Return the names in peft's table; for other families the projections of queries and values."""
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as TABLE

    there = {path.rpartition(".")[2] for path in _adaptable(model)}
    listed = TABLE.get(model.config.model_type)
    known = [set(listed)] if isinstance(listed, list) else []
    for names in (*known, *_ATTENTION):
        if names <= there:
            return sorted(names)
    return _all_linear(model)
