"""Options of the surrogate: the small sequential recommender trained on everything."""

from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from dealrec.config.base import Config


class SurrogateLoss(StrEnum):
    """The training risk of the surrogate."""

    FULL_SOFTMAX = "full_softmax"
    """Cross-entropy over the whole catalogue."""
    SAMPLED_SOFTMAX = "sampled_softmax"
    """Cross-entropy over the target and ``negatives`` items shared by a batch.

    Drawn by popularity, with logQ correction: an estimate of the full softmax.
    """


class SurrogateConfig(Config):
    """Architecture and training of the surrogate."""

    model: Literal["sasrec"] = "sasrec"
    loss: SurrogateLoss = SurrogateLoss.SAMPLED_SOFTMAX
    negatives: int = Field(512, ge=1)
    """Negatives of a batch, for ``sampled_softmax`` only."""
    hidden_size: int = Field(64, ge=4, le=1024)
    layers: int = Field(2, ge=1, le=16)
    heads: int = Field(2, ge=1, le=16)
    max_length: int = Field(50, ge=2, le=1000)
    """Items of a sequence that the model sees, the most recent ones."""
    dropout: float = Field(0.3, ge=0, lt=1)
    learning_rate: float = Field(1e-3, gt=0, le=1)
    weight_decay: float = Field(0.0, ge=0, le=1)
    batch_tokens: int = Field(1024, ge=16)
    """Items (training positions) in a batch; sequences of like length share one."""
    epochs: int = Field(20, ge=1, le=10_000)
    patience: int = Field(3, ge=1)
    """Epochs without a better validation NDCG@10 after which training stops."""
    seed: int = Field(0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _heads_divide(self) -> "SurrogateConfig":
        if self.hidden_size % self.heads:
            raise ValueError(
                f"hidden_size ({self.hidden_size}) must be a multiple of heads ({self.heads})"
            )
        return self
