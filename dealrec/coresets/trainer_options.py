"""Options of other trainers for a quantized base, forms of LoRA, less memory, and validation."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dealrec.config.finetune import FinetuneConfig, Quantization

_PART = 10
"""One in so many rows is held out at most."""


@dataclass(frozen=True)
class FurtherOptions:
    """The options of a fine-tuning beyond those of LoRA.

    An export has no rows but those of the coreset, so validation takes some of them away from training.
    """

    config: FinetuneConfig
    samples: int
    """The rows of the file."""

    @property
    def held_out(self) -> int:
        """The rows that are measured and not learned."""
        wanted = min(self.config.validation.samples, self.samples // _PART)
        return max(1, wanted) if self.config.validation.samples and self.samples > 1 else 0

    @property
    def share(self) -> float:
        """The share of the rows with which ``datasets``, which rounds up, holds out just these rows.

        All three trainers split with it. A whole number would do, but for 1, which they take for all rows.
        """
        return max(0.0, (self.held_out - 0.5) / self.samples) if self.samples else 0.0

    @property
    def steps(self) -> int:
        """The optimizer steps of the training."""
        size = self.config.batch_size * self.config.gradient_accumulation
        return math.ceil((self.samples - self.held_out) / size) * self.config.epochs

    def trl(self) -> dict[str, Any]:
        """Options of TRL; those that say what is so by default are left out."""
        config, lora = self.config, self.config.lora
        weights = {
            Quantization.NONE: {},
            Quantization.NF4: {"load_in_4bit": True, "use_bnb_nested_quant": True},
            Quantization.INT8: {"load_in_8bit": True},
        }[config.quantization]
        options = {
            **({"use_rslora": True} if lora.rslora else {}),
            **({"use_dora": True} if lora.dora else {}),
            **weights,
            **self._memory(),
            **self._validation(),
        }
        if self.held_out:
            options["test_split_size"] = self.share
        return options

    def axolotl(self) -> dict[str, Any]:
        """Options of Axolotl."""
        config, lora, validation = self.config, self.config.lora, self.config.validation
        forms: dict[Quantization, dict[str, Any]] = {
            Quantization.NONE: {"adapter": "lora"},
            Quantization.NF4: {"adapter": "qlora", "load_in_4bit": True},
            Quantization.INT8: {"adapter": "lora", "load_in_8bit": True},
        }
        patience = (
            {} if validation.patience is None else {"early_stopping_patience": validation.patience}
        )
        return {
            **forms[config.quantization],
            **({"peft_use_rslora": True} if lora.rslora else {}),
            **({"peft_use_dora": True} if lora.dora else {}),
            **self._memory(),
            "val_set_size": self.share,
            **self._validation(),
            **patience,
        }

    def llama_factory(self) -> dict[str, Any]:
        """Options of LLaMA-Factory."""
        config, lora, validation = self.config, self.config.lora, self.config.validation
        forms: dict[Quantization, dict[str, Any]] = {
            Quantization.NONE: {},
            Quantization.NF4: {
                "quantization_method": "bnb",
                "quantization_bit": 4,
                "quantization_type": "nf4",
                "double_quantization": True,
            },
            Quantization.INT8: {"quantization_method": "bnb", "quantization_bit": 8},
        }
        memory = self._memory()
        memory["disable_gradient_checkpointing"] = not memory.pop("gradient_checkpointing")
        patience = (
            {} if validation.patience is None else {"early_stopping_steps": validation.patience}
        )
        return {
            **forms[config.quantization],
            **({"use_rslora": True} if lora.rslora else {}),
            **({"use_dora": True} if lora.dora else {}),
            **memory,
            **({"val_size": self.share} if self.held_out else {}),
            **self._validation(),
            **patience,
        }

    def notes(self) -> Iterator[str]:
        """Say where these trainers do something else."""
        config = self.config
        if self.held_out:
            yield (
                f"`validation.samples` is {config.validation.samples:,}: DEALRec measures the loss on users "
                "of the validation split, which an export does not contain. These trainers hold out "
                f"{self.held_out:,} of the {self.samples:,} rows instead."
            )
        if config.validation.patience is not None:
            yield (
                "TRL has no option for early stopping; its training runs all epochs and keeps the "
                "best adapter."
            )
        if config.from_adapter is not None:
            yield "The training continues from an adapter, but these configurations start with a fresh one."
        if config.quantization is not Quantization.NONE:
            yield (
                f"`quantization: {config.quantization}` needs the package bitsandbytes in these trainers "
                "too."
            )

    def _memory(self) -> dict[str, Any]:
        return {
            "gradient_accumulation_steps": self.config.gradient_accumulation,
            "gradient_checkpointing": self.config.activation_checkpointing,
        }

    def _validation(self) -> dict[str, Any]:
        """What all three call by one name: they have it from transformers."""
        validation = self.config.validation
        if not self.held_out:
            return {"save_strategy": "no"}
        every = validation.every_steps
        when = "epoch" if every is None else "steps"
        found: dict[str, Any] = {"eval_strategy": when, "save_strategy": when}
        if every is not None:
            found |= {"eval_steps": every, "save_steps": every}
        if validation.keep_best or validation.patience is not None:
            best = {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss"}
            found |= {**best, "greater_is_better": False, "save_total_limit": 1}
        return found
