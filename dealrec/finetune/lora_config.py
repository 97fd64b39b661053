"""The configuration of a LoRA adapter in its folder: written for older peft too, and read to go on from."""

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dealrec.config.finetune import LoraSettings
from dealrec.errors import FieldError, InputError
from dealrec.language_models.adapters import require_adapter
from dealrec.language_models.loading import LoadedLanguageModel

if TYPE_CHECKING:
    from peft import LoraConfig

CONFIG = "adapter_config.json"
_ALWAYS = {
    "base_model_name_or_path",
    "bias",
    "fan_in_fan_out",
    "inference_mode",
    "lora_alpha",
    "lora_dropout",
    "peft_type",
    "r",
    "revision",
    "target_modules",
    "task_type",
}
"""What is written in any case: other programs that read adapters ask for it, and every peft knows it."""
_RECORD = "peft_version"
"""The version that wrote the file, which peft before 0.18 refuses."""


def write_lora_config(lora: "LoraConfig", folder: Path) -> None:
    """Write ``adapter_config.json``, with those options alone that are not at peft's defaults.

    Peft refuses options that it does not know, even at their defaults, so an adapter that uses none of
    the later ones is one that peft 0.13 loads.
    """
    written = lora.to_dict()
    kept = {
        field.name: _plain(written[field.name])
        for field in fields(lora)
        if field.name in written
        and field.name != _RECORD
        and (field.name in _ALWAYS or written[field.name] != _default(field))
    }
    content = json.dumps(kept, indent=2, sort_keys=True)
    (folder / CONFIG).write_text(content + "\n", encoding="utf-8")


def trained_from(folder: Path, loaded: LoadedLanguageModel, settings: LoraSettings) -> "LoraConfig":
    """Read the configuration of the adapter in ``folder``, to train it further on ``loaded``.

    Its rank, scaling and layers hold; the dropout is that of ``settings``.

    Raises:
        InputError: ``adapter_not_usable`` if it is no LoRA, of another language model, or if ``settings``
            ask for another LoRA than it is.
    """
    from peft import LoraConfig, PeftConfig

    require_adapter(folder)
    try:
        lora = PeftConfig.from_pretrained(str(folder))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _refused(folder, f"its {CONFIG} cannot be read", "from_adapter") from error
    if not isinstance(lora, LoraConfig):
        raise _refused(folder, "it is not a LoRA adapter", "from_adapter")
    base = lora.base_model_name_or_path or ""
    if Path(base).name != Path(loaded.source).name:
        raise _refused(
            folder, f"it was trained on `{base}`, but the model is `{loaded.name}`", "model"
        )
    has = {
        "rank": lora.r,
        "alpha": float(lora.lora_alpha),
        "rslora": lora.use_rslora,
        "dora": lora.use_dora,
    }
    for name, value in has.items():
        asked = getattr(settings, name)
        if asked not in (value, LoraSettings.model_fields[name].default):
            reason = f"its {name} is {value}, but `lora.{name}` is {asked}; leave that option out"
            raise _refused(folder, reason, f"lora.{name}")
    lora.lora_dropout = settings.dropout
    lora.inference_mode = False
    return lora


def _refused(folder: Path, reason: str, option: str) -> InputError:
    return InputError(
        f"The adapter `{folder.name}` cannot be trained further: {reason}.",
        code="adapter_not_usable",
        title="The adapter cannot be used",
        errors=[FieldError(f"config.finetune.{option}", reason)],
    )


def _default(field: Any) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default


def _plain(value: Any) -> Any:
    """``value`` as JSON; sets have no order, which would change from run to run."""
    return sorted(value) if isinstance(value, set) else value
