"""Options of the surrogate, the small sequential recommender that is trained on all data."""

import re
from dataclasses import dataclass
from enum import StrEnum

from pydantic import Field, field_validator, model_validator

from dealrec.config.base import Config, unless


class SurrogateLoss(StrEnum):
    """The training loss of the surrogate."""

    FULL_SOFTMAX = "full_softmax"
    """Cross-entropy over the whole catalogue."""
    SAMPLED_SOFTMAX = "sampled_softmax"
    """Cross-entropy over the target and ``negatives`` items that all positions of a batch share.

    The items are drawn by popularity, and the logQ correction makes the loss an estimate of the full softmax.
    """
    GBCE = "gbce"
    """Binary cross-entropy against ``negatives`` uniformly drawn items that all positions of a batch
    share (gBCE).

    It is calibrated for the share of items drawn (Petrov and Macdonald, RecSys 2023).
    """
    BCE = "bce"
    """Binary cross-entropy against one uniformly drawn item per position (the published SASRec)."""


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
    lacks: tuple[str, ...] = ()
    """Values of ``influence.parameters`` that it has no parameters for."""


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
            "A recurrent network (GRU) over the items.",
            "Hidasi et al., ICLR 2016, arXiv 1511.06939",
            "dealrec.surrogates.gru4rec:GRU4Rec",
            (),
        ),
        SurrogateEntry(
            "dcrec",
            (
                "A transformer combined with two graphs of items, trained with a contrastive loss between "
                "them."
            ),
            "Yang et al., WWW 2023, arXiv 2303.11780",
            "dealrec.surrogates.dcrec:DCRec",
            (
                "heads",
                "neighbours",
                "contrast",
                "temperature",
                "conformity",
                "conformity_weight",
            ),
        ),
        SurrogateEntry(
            "lightgcn",
            "A graph network over users and items, for histories whose order means nothing.",
            "He et al., SIGIR 2020, arXiv 2002.02126",
            "dealrec.surrogates.lightgcn:LightGCN",
            (),
            lacks=("attention_output", "last_block"),
        ),
        SurrogateEntry(
            "content",
            "A small network over the words of items, for items that few or no users have chosen.",
            "Our own, a two-tower network as in Covington et al., RecSys 2016",
            "dealrec.surrogates.content:ContentRecommender",
            ("content_size",),
        ),
    )
}
"""The surrogates by name; import strings refer to them, so that listing them imports none."""

_IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)


class SurrogateConfig(Config):
    """Architecture and training of the surrogate."""

    model: str = Field("sasrec", max_length=200)
    """``sasrec``, ``bert4rec``, ``gru4rec``, ``dcrec``, ``lightgcn`` or ``content``.

    In the library and on the command line it may also be ``package.module:Class``: a
    :class:`dealrec.surrogates.interface.Surrogate` of your own, installed or on ``PYTHONPATH``.
    """
    loss: SurrogateLoss = SurrogateLoss.SAMPLED_SOFTMAX
    negatives: int = Field(512, ge=1)
    """The number of negatives per batch, for ``sampled_softmax`` and ``gbce``."""
    calibration: float = Field(0.75, ge=0, le=1)
    """The ``t`` of gBCE: 0 is plain binary cross-entropy, and 1 fully corrects the overconfidence that
    negative sampling causes."""
    hidden_size: int = Field(64, ge=4, le=1024)
    """The length of the vectors of items and histories."""
    layers: int = Field(2, ge=1, le=16)
    heads: int = Field(2, ge=1, le=16)
    """The number of attention heads of ``sasrec``, ``bert4rec`` and ``dcrec``."""
    max_length: int = Field(50, ge=2, le=1000)
    """The model sees this many of the most recent items of a sequence."""
    windows: bool = Field(False, exclude_if=unless(False))
    """Whether the surrogate also learns from a user's items before the last ``max_length + 1``, as
    further sequences."""
    mask_rate: float = Field(0.4, gt=0, lt=1)
    """For ``bert4rec``: the share of a sequence's items that are masked."""
    neighbours: int = Field(4, ge=1, le=100, exclude_if=unless(4))
    """For ``dcrec``: the number of similar items to which an item has an edge."""
    contrast: float = Field(0.1, ge=0, le=100, exclude_if=unless(0.1))
    """For ``dcrec``: the weight of the contrastive loss in training."""
    temperature: float = Field(1.0, gt=0, le=100, exclude_if=unless(1.0))
    """For ``dcrec``: the temperature of the contrastive loss, by which cosines are divided."""
    conformity: float = Field(0.5, gt=0, lt=1, exclude_if=unless(0.5))
    """For ``dcrec``: the mean conformity, which is how far a choice follows what other users choose."""
    conformity_weight: float = Field(0.01, ge=0, le=100, exclude_if=unless(0.01))
    """For ``dcrec``: the weight in training of the distance between conformity and a normal distribution."""
    content_size: int = Field(128, ge=4, le=4096, exclude_if=unless(128))
    """For ``content``: the length of the vector of an item's words."""
    dropout: float = Field(0.3, ge=0, lt=1)
    learning_rate: float = Field(1.5e-3, gt=0, le=1)
    weight_decay: float = Field(0.0, ge=0, le=1)
    batch_tokens: int = Field(2048, ge=16)
    """The number of items (training positions) in a batch. Sequences of similar length share a batch."""
    epochs: int = Field(12, ge=1, le=10_000)
    """The largest number of passes over the training interactions."""
    patience: int = Field(3, ge=1)
    """Training stops after this many epochs without a better validation NDCG@10."""
    user_share: float = Field(1.0, gt=0, le=1, exclude_if=unless(1.0))
    """The share of users from whose sequences the surrogate learns. They are chosen by hashes of their
    ids and the seed.

    A larger share includes all users of a smaller one. Every sample is scored in any case.
    """
    recent_share: float = Field(1.0, gt=0, le=1, exclude_if=unless(1.0))
    """The share of training interactions, newest first, from which the surrogate learns. Needs timestamps.

    Interactions that are exactly as old as the oldest of these are all included. With ``user_share`` it
    is a share of the interactions of those users.
    """
    evaluation_users: int = Field(20_000, ge=2)
    """The number of users of each split on whom ranking metrics are measured, spread evenly over history
    lengths."""
    seed: int = Field(0, ge=0, lt=2**31)
    ensemble: int = Field(1, ge=1, le=16)
    """The number of surrogates that are trained, with the seeds ``seed``, ``seed + 1``, …; their
    influence scores are averaged."""

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
