"""Options of the surrogate, the small sequential recommender that is trained on all data."""

import re
from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field, field_validator, model_validator

from dealrec.config.base import Config


class SurrogateLoss(StrEnum):
    """The training loss of the surrogate."""

    FULL_SOFTMAX = "full_softmax"
    """Cross-entropy over the whole catalogue."""
    SAMPLED_SOFTMAX = "sampled_softmax"
    """Cross-entropy over the target and ``negatives`` items that a batch shares.

    The items are drawn by popularity and corrected by logQ, which estimates the full softmax.
    """
    GBCE = "gbce"
    """Binary cross-entropy against ``negatives`` uniformly drawn items that a batch shares.

    It is calibrated for the share of items drawn (Petrov and Macdonald, RecSys 2023).
    """
    BCE = "bce"
    """Binary cross-entropy against one uniformly drawn item a position (the published SASRec)."""


@dataclass(frozen=True)
class SurrogateEntry:
    """The description of a surrogate, available without loading it."""

    name: str
    summary: str
    source: str
    """The publication of the model."""
    implementation: str
    """The import path ``module:class`` of a class with the arguments ``(n_items, SurrogateConfig)``."""
    parameters: tuple[str, ...]
    """The fields of :class:`SurrogateConfig` that it reads beside those that all read."""


SURROGATES: dict[str, SurrogateEntry] = {
    entry.name: entry
    for entry in (
        SurrogateEntry(
            "sasrec",
            "Self-attentive sequential recommender: a causal transformer, post-LN.",
            "Kang and McAuley, ICDM 2018, arXiv 1808.09781",
            "dealrec.surrogates.sasrec:SASRec",
            ("heads",),
        ),
        SurrogateEntry(
            "bert4rec",
            "A transformer that looks both ways, trained to fill in masked items.",
            "Sun et al., CIKM 2019, arXiv 1904.06690",
            "dealrec.surrogates.bert4rec:BERT4Rec",
            ("heads", "mask_rate"),
        ),
        SurrogateEntry(
            "gru4rec",
            "A recurrent network of gated units over the items.",
            "Hidasi et al., ICLR 2016, arXiv 1511.06939",
            "dealrec.surrogates.gru4rec:GRU4Rec",
            (),
        ),
    )
}
"""The surrogates by name; import strings refer to them, so that listing them imports none."""

_IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


class SurrogateConfig(Config):
    """Architecture and training of the surrogate."""

    model: str = Field("sasrec", max_length=200)
    """``sasrec``, ``bert4rec`` or ``gru4rec``.

    In the library and on the command line it may also be ``package.module:Class``, an installed
    :class:`dealrec.surrogates.interface.Surrogate` of your own, or one on ``PYTHONPATH``.
    """
    loss: SurrogateLoss = SurrogateLoss.SAMPLED_SOFTMAX
    negatives: int = Field(512, ge=1)
    """The number of negatives of a batch, for ``sampled_softmax`` and ``gbce``."""
    calibration: float = Field(0.75, ge=0, le=1)
    """The ``t`` of gBCE: 0 is plain binary cross-entropy, 1 undoes the overconfidence of sampling."""
    hidden_size: int = Field(64, ge=4, le=1024)
    layers: int = Field(2, ge=1, le=16)
    heads: int = Field(2, ge=1, le=16)
    """The number of attention heads of ``sasrec`` and ``bert4rec``."""
    max_length: int = Field(50, ge=2, le=1000)
    """The number of most recent items of a sequence that the model sees."""
    mask_rate: float = Field(0.4, gt=0, lt=1)
    """For ``bert4rec``: the share of a sequence's items that is masked."""
    dropout: float = Field(0.3, ge=0, lt=1)
    learning_rate: float = Field(1.5e-3, gt=0, le=1)
    weight_decay: float = Field(0.0, ge=0, le=1)
    batch_tokens: int = Field(2048, ge=16)
    """The number of items (training positions) in a batch; sequences of similar length share one."""
    epochs: int = Field(12, ge=1, le=10_000)
    patience: int = Field(3, ge=1)
    """The number of epochs without a better validation NDCG@10 after which training stops."""
    evaluation_users: int = Field(20_000, ge=2)
    """The number of users of a split whose ranking is measured, spread evenly over history lengths."""
    seed: int = Field(0, ge=0, lt=2**31)
    ensemble: int = Field(1, ge=1, le=16)
    """The number of surrogates, with the seeds ``seed``, ``seed + 1``, …; influence is averaged."""

    @field_validator("model")
    @classmethod
    def _known_or_importable(cls, model: str) -> str:
        if model not in SURROGATES and not _IMPORT_PATH.fullmatch(model):
            known = ", ".join(SURROGATES)
            raise ValueError(f"must be one of {known}, or an import path `package.module:Class`")
        return model

    @model_validator(mode="after")
    def _heads_divide(self) -> "SurrogateConfig":
        entry = SURROGATES.get(self.model)
        reads_heads = entry is None or "heads" in entry.parameters
        if reads_heads and self.hidden_size % self.heads:
            raise ValueError(
                f"hidden_size ({self.hidden_size}) must be a multiple of heads ({self.heads})"
            )
        return self
