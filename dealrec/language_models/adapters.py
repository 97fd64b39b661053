"""LoRA adapters on a language model: merged into its weights, or attached beside them."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dealrec.config.effort import GradientOptions
from dealrec.config.language_models import public_name
from dealrec.errors import FieldError, InputError
from dealrec.language_models.loading import (
    LoadedLanguageModel,
    LoraFactors,
    load_language_model,
)
from dealrec.language_models.quantization import peft_without_bitsandbytes
from dealrec.language_models.quiet import quiet_transformers
from dealrec.progress import Reporter

if TYPE_CHECKING:
    import torch
    from peft import LoraConfig

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
ADAPTER_FILES = (CONFIG, WEIGHTS)
"""The files of a PEFT folder that decide what it is."""
HEAD = "projection.safetensors"
"""What a recommender trains beside LoRA, in the folder of its adapter."""


def with_adapter(loaded: LoadedLanguageModel, adapter: Path) -> LoadedLanguageModel:
    """Merge the PEFT folder ``adapter`` into ``loaded``, whose model is changed in place.

    A merged adapter adds no cost to a pass. ``lora`` of the result keeps the factors that were merged.

    Raises:
        InputError: ``adapter_not_usable`` if the folder is not a LoRA adapter of this model in
            safetensors, or if its LoRA is more than ``W + s B A`` (DoRA).
    """
    from peft.tuners.lora import Linear

    adapted = attach_adapter(loaded, adapter)
    with quiet_transformers():
        factors = {}
        for name, module in adapted.base_model.model.named_modules():
            if not isinstance(module, Linear):
                continue
            if module.use_dora["default"]:
                raise adapter_not_usable(adapter, "its weights are decomposed (DoRA)")
            factors[name] = LoraFactors(
                down=module.lora_A["default"].weight.detach().clone(),
                up=module.lora_B["default"].weight.detach().clone(),
                scale=float(module.scaling["default"]),
            )
        if not factors:
            raise adapter_not_usable(adapter, "it is not a LoRA of linear layers")
        model = adapted.merge_and_unload()
    return dataclasses.replace(
        loaded,
        model=model.requires_grad_(requires_grad=False).eval(),
        revision=adapted_revision(loaded.revision, adapter),
        lora=factors,
    )


def adapted_revision(revision: str | None, adapter: Path) -> str:
    """Name the content of a model of ``revision`` with the PEFT folder ``adapter`` merged into it."""
    files = b"".join((adapter / name).read_bytes() for name in ADAPTER_FILES)
    return f"{revision}+lora-{hashlib.sha256(files).hexdigest()}"


def load_adapted(
    config: GradientOptions, device: "torch.device", reporter: Reporter
) -> LoadedLanguageModel:
    """Load the model that ``config`` names, with its adapter merged if it names one.

    Raises:
        InputError: ``unknown_model``, ``model_not_available`` or ``adapter_not_usable``.
    """
    loaded = load_language_model(config.model, dtype=config.dtype, device=device, reporter=reporter)
    if config.adapter is None:
        return loaded
    return with_adapter(loaded, Path(config.adapter).expanduser())


def attach_adapter(
    loaded: LoadedLanguageModel, adapter: Path, trained: "LoraConfig | None" = None
) -> Any:
    """Attach the PEFT folder ``adapter`` to ``loaded``'s model, as a ``PeftModel`` that can disable it.

    ``trained`` is the configuration under which it is trained further; ``None`` only uses it.

    Raises:
        InputError: ``adapter_not_usable`` if the folder is not an adapter of this model.
    """
    from peft import PeftModel

    require_adapter(adapter)
    with quiet_transformers(), peft_without_bitsandbytes(loaded.model):
        try:
            return PeftModel.from_pretrained(
                loaded.model, str(adapter), config=trained, is_trainable=trained is not None
            )
        except (OSError, ValueError, RuntimeError, TypeError, AttributeError) as error:
            raise adapter_not_usable(adapter, "it does not fit the language model") from error


def require_adapter(adapter: Path) -> None:
    """Check, without loading anything, that the folder has the files of an adapter.

    Raises:
        InputError: ``adapter_not_usable`` if one of them is missing.
    """
    if not all((adapter / name).is_file() for name in ADAPTER_FILES):
        raise adapter_not_usable(adapter, f"it has no {' and '.join(ADAPTER_FILES)}")


def adapter_not_usable(adapter: Path, reason: str) -> InputError:
    """Return the error for a folder that is no adapter of the model, with the reason."""
    return InputError(
        f"The adapter `{adapter.name}` cannot be used: {reason}.",
        code="adapter_not_usable",
        title="The adapter cannot be used",
        errors=[FieldError("config.effort.adapter", reason)],
    )


def require_base(adapter: Path, model: str) -> None:
    """Raise :class:`InputError` (``adapter_not_usable``) for an adapter of another model."""
    base = json.loads((adapter / CONFIG).read_text())["base_model_name_or_path"]
    if Path(base).name != Path(public_name(model)).name:
        raise InputError(
            f"The adapter was trained on `{base}`, but `finetune.model` is `{model}`. Use the options "
            "with which it was trained.",
            code="adapter_not_usable",
            errors=[FieldError("finetune.model", f"must be `{base}`, the model of the adapter")],
        )
