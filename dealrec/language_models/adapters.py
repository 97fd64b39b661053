"""A language model with a LoRA adapter merged into it, its factors kept beside it."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

from dealrec.errors import FieldError, InputError
from dealrec.language_models.loading import LoadedLanguageModel, LoraFactors
from dealrec.language_models.quiet import quiet_transformers

_FILES = ("adapter_config.json", "adapter_model.safetensors")


def with_adapter(loaded: LoadedLanguageModel, adapter: Path) -> LoadedLanguageModel:
    """``loaded`` as the PEFT folder ``adapter`` makes it; the model given is changed.

    Merged, the adapter costs nothing more, and ``lora`` of the result says what was merged where.

    Raises:
        InputError: ``adapter_not_usable`` for a folder that is no LoRA adapter of this model in
            safetensors, or a LoRA that is more than ``W + s B A`` (DoRA).
    """
    from peft.tuners.lora import Linear

    adapted = attach_adapter(loaded, adapter)
    with quiet_transformers():
        factors = {}
        for name, module in adapted.base_model.model.named_modules():
            if not isinstance(module, Linear):
                continue
            if module.use_dora["default"]:
                raise _not_usable(adapter, "its weights are decomposed (DoRA)")
            factors[name] = LoraFactors(
                down=module.lora_A["default"].weight.detach().clone(),
                up=module.lora_B["default"].weight.detach().clone(),
                scale=float(module.scaling["default"]),
            )
        if not factors:
            raise _not_usable(adapter, "it is no LoRA of linear layers")
        model = adapted.merge_and_unload()
    digest = hashlib.sha256(b"".join((adapter / name).read_bytes() for name in _FILES)).hexdigest()
    return dataclasses.replace(
        loaded,
        model=model.requires_grad_(requires_grad=False).eval(),
        revision=f"{loaded.revision}+lora-{digest}",
        lora=factors,
    )


def attach_adapter(loaded: LoadedLanguageModel, adapter: Path) -> Any:
    """The PEFT folder's adapter around ``loaded``'s model, as a ``PeftModel`` that can leave it out.

    Raises:
        InputError: ``adapter_not_usable`` for a folder that is no adapter of this model.
    """
    from peft import PeftModel

    require_adapter(adapter)
    with quiet_transformers():
        try:
            return PeftModel.from_pretrained(loaded.model, str(adapter))
        except (OSError, ValueError, RuntimeError, TypeError, AttributeError) as error:
            raise _not_usable(adapter, "it does not fit the language model") from error


def require_adapter(adapter: Path) -> None:
    """Check, without loading anything, that the folder has an adapter's files.

    Raises:
        InputError: ``adapter_not_usable``.
    """
    if not all((adapter / name).is_file() for name in _FILES):
        raise _not_usable(adapter, f"it has no {' and '.join(_FILES)}")


def _not_usable(adapter: Path, reason: str) -> InputError:
    return InputError(
        f"The adapter `{adapter.name}` cannot be used: {reason}.",
        code="adapter_not_usable",
        title="The adapter cannot be used",
        errors=[FieldError("config.effort.adapter", reason)],
    )
