"""A tiny model with random weights of every family of decoders, with a tokenizer of single bytes."""

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from dealrec.language_models import LoadedLanguageModel
from tests.dealrec.language_models.tiny import byte_tokenizer

_SHAPE = {
    "vocab_size": 260,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "initializer_range": 0.3,
    "pad_token_id": 256,
    "bos_token_id": 256,
    "eos_token_id": 256,
}
_GROUPED = {"num_key_value_heads": 2, "head_dim": 4}
_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "Llama": ("llama", _GROUPED),
    "Mistral": ("mistral", {**_GROUPED, "sliding_window": 8}),
    "Mixtral": ("mixtral", {**_GROUPED, "num_local_experts": 4}),
    "Qwen2": ("qwen2", _GROUPED),
    "Qwen2-MoE": ("qwen2_moe", {**_GROUPED, **_EXPERTS, "shared_expert_intermediate_size": 8}),
    "Qwen3": ("qwen3", _GROUPED),
    "Qwen3-MoE": ("qwen3_moe", {**_GROUPED, **_EXPERTS}),
    "Gemma": ("gemma", _GROUPED),
    "Gemma 2": ("gemma2", {**_GROUPED, "sliding_window": 8, "final_logit_softcapping": 2.0}),
    "Gemma 3": (
        "gemma3_text",
        {**_GROUPED, "sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "Phi-3": ("phi3", _GROUPED),
    "GPT-2": ("gpt2", {}),
    "GPT-NeoX": ("gpt_neox", {}),
    "OPT": ("opt", {"ffn_dim": 32, "word_embed_proj_dim": 16}),
    "Bloom": ("bloom", {}),
    "Falcon": ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "Falcon (one key for all heads)": (
        "falcon",
        {"new_decoder_architecture": False, "multi_query": True},
    ),
    "MPT": ("mpt", {"d_model": 16, "n_heads": 4, "n_layers": 2, "expansion_ratio": 2}),
    "Granite": (
        "granite",
        {
            **_GROUPED,
            "logits_scaling": 4.0,
            "embedding_multiplier": 3.0,
            "residual_multiplier": 0.5,
        },
    ),
    "Cohere": ("cohere", {**_GROUPED, "logit_scale": 0.25}),
    "OLMo2": ("olmo2", _GROUPED),
    "Mamba": ("mamba", {"state_size": 4}),
}
"""The families by name: transformers' name of the architecture, and options of the tiny model."""


def family_model(name: str) -> Any:
    """Return the family's tiny model."""
    architecture, options = FAMILIES[name]
    torch.manual_seed(0)
    config = AutoConfig.for_model(architecture, **{**_SHAPE, **options})
    model = AutoModelForCausalLM.from_config(config).eval()
    return model.requires_grad_(requires_grad=False)


def family_loaded(name: str) -> LoadedLanguageModel:
    """Return the family's tiny model with its tokenizer."""
    return LoadedLanguageModel(family_model(name), byte_tokenizer(), name, "0")
