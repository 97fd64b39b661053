"""Options of the effort score."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from dealrec.config.base import Config


class EffortParameters(StrEnum):
    """The parameters of the LLM whose gradient norm is the effort."""

    V_PROJ = "v_proj"
    """The last layer's value projection; needs no adapter."""
    LORA_B = "lora_b"
    """B of a fresh LoRA on the last layer's value projection (the paper's code)."""
    LORA = "lora"
    """A and B of LoRA on the last layer's query and value projections. Of a fresh LoRA, B is zero,
    so A's gradient is exactly zero and that of the two B is what is left; with ``adapter`` both
    count."""
    LAST_BLOCK = "last_block"
    """All weights of the last layer itself: attention, MLP, norms."""


class Reduction(StrEnum):
    """How token losses become the loss of a sample; the two rank samples quite differently."""

    MEAN = "mean"
    SUM = "sum"


class LossSpan(StrEnum):
    """The tokens that the loss looks at."""

    ANSWER = "answer"
    ALL = "all"


class TokenOptions(Config):
    """A language model, and how samples are given to it."""

    model: str = Field("smollm2-135m", min_length=1, max_length=200)
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the model; sums are taken in float32. ``bfloat16`` is for GPUs and for CPUs with
    instructions for it: on others it is four times slower than ``float32``."""
    max_tokens: int = Field(512, ge=16, le=32_768)
    """A longer sample loses the oldest tokens of its input, never its answer."""
    batch_tokens: int = Field(2048, ge=16)
    """Tokens in a batch, padding counted; samples of like length share one."""


class GradientOptions(TokenOptions):
    """Which gradient of the LLM a sample is measured by."""

    parameters: EffortParameters = EffortParameters.V_PROJ
    adapter: str | None = Field(None, min_length=1, max_length=1000)
    """A PEFT folder, for ``lora`` from the library and the command line: gradients are then those
    of the adapted model, on the adapter's own A and B. ``None``: a fresh LoRA."""
    reduction: Reduction = Reduction.MEAN
    loss_on: LossSpan = LossSpan.ANSWER
    lora_rank: int = Field(8, ge=1, le=256)
    """For ``lora_b`` and ``lora``."""
    lora_alpha: float = Field(16.0, gt=0)
    """For ``lora_b`` and ``lora``."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Of LoRA's random A, for ``lora_b`` and ``lora``; of ``gradients`` also of the projection."""

    @model_validator(mode="after")
    def _adapter_only_for_lora(self) -> Self:
        if self.adapter is not None and self.parameters is not EffortParameters.LORA:
            raise ValueError("`adapter` is read for `parameters: lora` only")
        return self


class EffortConfig(GradientOptions):
    """How the LLM's effort on a sample is computed."""

    candidates: int | None = Field(None, ge=2, le=1000)
    """Measure only ``candidates × budget`` samples, drawn over the strata of influence; the others
    cannot be selected. ``None`` measures all, as a pool that is as large as the data does."""
    shard_samples: int = Field(4096, ge=1)
    """About so many samples are measured in one piece, which one worker takes; changes no result."""


def measured_samples(samples: int, budget: int, candidates: int | None) -> int:
    """How many of ``samples`` samples have their effort measured."""
    return samples if candidates is None else min(samples, candidates * budget)


def shard_count(samples: int, config: EffortConfig) -> int:
    """Into how many shards the effort of ``samples`` samples is split."""
    return max(1, -(-samples // config.shard_samples))
