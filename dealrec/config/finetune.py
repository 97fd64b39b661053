"""Options of LoRA fine-tuning."""

from typing import Literal

from pydantic import Field

from dealrec.config.base import Config
from dealrec.config.effort import LossSpan


class LoraSettings(Config):
    """Options of the LoRA adapter."""

    rank: int = Field(8, ge=1, le=512)
    alpha: float = Field(16.0, gt=0)
    dropout: float = Field(0.05, ge=0, lt=1)
    target_modules: tuple[str, ...] = Field(("q_proj", "v_proj"), min_length=1, max_length=32)
    last_layers: int | None = Field(None, ge=1, le=1000)
    """The number of last layers that are adapted; ``None`` adapts all layers."""


class FinetuneConfig(Config):
    """Options of LoRA training on the coreset."""

    model: str = Field("smollm2-135m", min_length=1, max_length=200)
    epochs: int = Field(1, ge=1, le=1000)
    learning_rate: float = Field(1e-4, gt=0, le=1)
    batch_size: int = Field(8, ge=1, le=4096)
    """The number of samples in an optimizer step."""
    warmup_fraction: float = Field(0.05, ge=0, lt=1)
    """The share of the steps over which the learning rate rises; then it falls linearly."""
    weight_decay: float = Field(0.0, ge=0, le=1)
    max_gradient_norm: float = Field(1.0, gt=0)
    loss_on: LossSpan = LossSpan.ANSWER
    dtype: Literal["float32", "bfloat16"] = "float32"
    """The number type of the frozen model (see :class:`EffortConfig`); the adapter is in float32."""
    max_tokens: int = Field(512, ge=16, le=32_768)
    checkpoint_steps: int = Field(50, ge=1)
    lora: LoraSettings = LoraSettings()
    seed: int = Field(0, ge=0, lt=2**31)
