"""LoRA is attached to a loaded language model, detached, and saved in the format of peft."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from dealrec.config.finetune import FinetuneConfig
from dealrec.config.language_models import adapted_modules
from dealrec.data.prompts import PromptedSample
from dealrec.disk import written_whole
from dealrec.finetune.lora_config import trained_from, write_lora_config
from dealrec.finetune.model_card import model_card
from dealrec.language_models.adapters import WEIGHTS, attach_adapter
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.quantization import peft_without_bitsandbytes
from dealrec.language_models.quiet import quiet_transformers
from dealrec.language_models.structure import not_supported
from dealrec.language_models.targets import target_modules
from dealrec.recommenders.interface import Recommender


def attach_lora(
    loaded: LoadedLanguageModel, config: FinetuneConfig, start: Path | None = None
) -> Any:
    """Attach a float32 LoRA that can be trained, and return the ``PeftModel``.

    It is a fresh one (A from the seed, B zero), or that of the PEFT folder ``start``. With
    ``lora.last_layers`` 0 that of the last layer is attached and never trained, so it changes nothing, and
    the folder of such an adapter is one that peft loads.

    Raises:
        InputError: ``unknown_target_modules`` if the model lacks one of these; ``adapter_not_usable``;
            ``model_not_supported`` for activation checkpointing of a model that cannot do it.
    """
    if start is not None:
        model = attach_adapter(loaded, start, trained_from(start, loaded, config.lora))
    else:
        model = _fresh(loaded, config)
    if config.lora.last_layers == 0:
        model.requires_grad_(requires_grad=False)
    if config.activation_checkpointing:
        _recompute_activations(loaded.model)
    return model


def _fresh(loaded: LoadedLanguageModel, config: FinetuneConfig) -> Any:
    from peft import LoraConfig, get_peft_model

    wanted = adapted_modules(loaded.source, config.lora.target_modules)
    targets = target_modules(loaded.model, loaded.name, wanted)
    count = loaded.model.config.num_hidden_layers
    last = None if config.lora.last_layers is None else max(1, config.lora.last_layers)
    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        use_rslora=config.lora.rslora,
        use_dora=config.lora.dora,
        target_modules=targets,
        layers_to_transform=None if last is None else list(range(max(0, count - last), count)),
    )
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        with quiet_transformers(), peft_without_bitsandbytes(loaded.model):
            return get_peft_model(loaded.model, lora)


def _recompute_activations(model: Any) -> None:
    if not getattr(model, "supports_gradient_checkpointing", False):
        raise not_supported(
            model, "the model does not support `activation_checkpointing`; leave that option out"
        )
    with quiet_transformers():
        model.gradient_checkpointing_enable({"use_reentrant": False})


def detach_lora(adapted: Any) -> None:
    """Undo :func:`attach_lora`: the model has its own layers again, and no parameter asks for gradients."""
    with quiet_transformers():
        base = adapted.unload()
        if getattr(base, "is_gradient_checkpointing", False):
            base.gradient_checkpointing_disable()
    if hasattr(base, "peft_config"):
        del base.peft_config
    base.requires_grad_(requires_grad=False)
    base.eval()


def adapter_state(model: Any) -> dict[str, torch.Tensor]:
    """Return the adapter's tensors by peft's names."""
    from peft import get_peft_model_state_dict

    state: dict[str, torch.Tensor] = get_peft_model_state_dict(model, save_embedding_layers=False)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}


def load_adapter_state(model: Any, state: dict[str, torch.Tensor]) -> None:
    """Put :func:`adapter_state`'s tensors back."""
    from peft import set_peft_model_state_dict

    set_peft_model_state_dict(model, state)


def save_adapter(
    model: Any,
    recommender: Recommender,
    config: FinetuneConfig,
    metrics: Mapping[str, float],
    facts: Mapping[str, Any],
    sample: PromptedSample,
    out: Path,
) -> None:
    """Write ``out`` as a folder for ``PeftModel.from_pretrained``, whole or not at all.

    Beside the adapter it holds the recommender's head, if that has one. It names the base model by its
    repository on the hub, its name in the catalogue, or the path of its folder or file, and by its
    revision. An existing ``out`` must be an empty folder.
    """
    loaded = recommender.loaded
    lora = model.peft_config["default"]
    lora.base_model_name_or_path = loaded.base
    lora.revision = loaded.revision
    lora.inference_mode = True
    with written_whole(out) as folder:
        folder.mkdir()
        write_lora_config(lora, folder)
        save_file(adapter_state(model), folder / WEIGHTS, {"format": "pt"})
        recommender.save_head(folder, sample)
        card = model_card(loaded, config, metrics, facts)
        (folder / "README.md").write_text(card, encoding="utf-8")
