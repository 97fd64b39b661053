"""Options of the effort score."""

from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from dealrec.config.base import Config
from dealrec.config.language_models import DEFAULT_MODEL, with_model_defaults


class EffortParameters(StrEnum):
    """The parameters of the language model whose gradient norm is the effort."""

    V_PROJ = "v_proj"
    """The last layer's value projection; needs no adapter."""
    LORA_B = "lora_b"
    """The matrix B of a fresh LoRA on the last layer's value projection (the paper's code)."""
    LORA = "lora"
    """The matrices A and B of LoRA on the last layer's query and value projections. In a fresh LoRA B is
    zero, so the gradient of A is zero and only B counts; with ``adapter`` both count."""
    LAST_BLOCK = "last_block"
    """All weights of the last layer: attention, MLP and norms."""

    @property
    def projections(self) -> tuple[str, ...]:
        """The projections that the last layer must have."""
        of_one = ("v_proj",) if self in (self.V_PROJ, self.LORA_B) else ()
        return ("v_proj", "q_proj") if self is self.LORA else of_one


class Reduction(StrEnum):
    """The way token losses become the loss of a sample; the two rank samples quite differently."""

    MEAN = "mean"
    SUM = "sum"


class LossSpan(StrEnum):
    """The tokens that count for the loss."""

    ANSWER = "answer"
    ALL = "all"


class TokenOptions(Config):
    """A language model, and the tokens of samples that it reads."""

    model: str = Field(DEFAULT_MODEL, min_length=1, max_length=200)
    dtype: Literal["float32", "bfloat16"] = "float32"
    """The number type of the model; sums are taken in float32. ``bfloat16`` is for GPUs and for CPUs
    with instructions for it; on others it is four times slower than ``float32``. The catalogue may have
    another default for a model."""
    max_tokens: int = Field(512, ge=16, le=32_768)
    """The largest number of tokens of a sample. A longer one loses the oldest tokens of its input, never its
    answer."""
    batch_tokens: int = Field(2048, ge=16)
    """The number of tokens in a batch, padding included. Samples of similar length share a batch."""

    @model_validator(mode="before")
    @classmethod
    def _of_catalogue(cls, data: Any) -> Any:
        return with_model_defaults(data, cls.model_fields)


class IfdConfig(TokenOptions):
    """The language model whose losses with and without the history ``ifd`` compares."""


class GradientOptions(TokenOptions):
    """The gradient of the language model that a sample is measured by."""

    parameters: EffortParameters = EffortParameters.V_PROJ
    adapter: str | None = Field(None, min_length=1, max_length=1000)
    """For ``lora``, in the library and on the command line: the PEFT folder of an adapter. Gradients are then
    taken of the adapted model, on the adapter's own A and B. ``None`` means a fresh LoRA."""
    reduction: Reduction = Reduction.MEAN
    loss_on: LossSpan = LossSpan.ANSWER
    lora_rank: int = Field(8, ge=1, le=256)
    """The rank for ``lora_b`` and ``lora``."""
    lora_alpha: float = Field(16.0, gt=0)
    """The scaling α for ``lora_b`` and ``lora``."""
    seed: int = Field(0, ge=0, lt=2**31)
    """The seed of LoRA's random A for ``lora_b`` and ``lora``, and of the projection in ``gradients``."""

    @model_validator(mode="after")
    def _adapter_only_for_lora(self) -> Self:
        if self.adapter is not None and self.parameters is not EffortParameters.LORA:
            raise ValueError("`adapter` needs `parameters: lora`")
        return self


class EffortConfig(GradientOptions):
    """Options of the effort score."""

    candidates: int | None = Field(None, ge=2, le=1000)
    """Effort is measured only for ``candidates × budget`` samples, which are drawn from strata of influence;
    other samples cannot be selected. If not set, all samples are measured."""
    shard_samples: int = Field(4096, ge=1)
    """The approximate number of samples that a worker measures in one piece; it changes no result."""


def measured_samples(samples: int, budget: int, candidates: int | None) -> int:
    """The number of ``samples`` whose effort is measured."""
    return samples if candidates is None else min(samples, candidates * budget)


def shard_count(samples: int, config: EffortConfig) -> int:
    """The number of shards that the effort of ``samples`` samples is split into."""
    return max(1, -(-samples // config.shard_samples))
