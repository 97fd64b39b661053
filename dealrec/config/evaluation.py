"""Options of the evaluation of a fine-tuned language model on held-out users."""

from enum import StrEnum

from pydantic import Field

from dealrec.config.base import Config


class HeldOut(StrEnum):
    """The split whose interactions are asked for; they are never trained on."""

    AUTO = "auto"
    """``test`` if there is such a split, else ``valid``."""
    VALID = "valid"
    TEST = "test"


class EvaluationConfig(Config):
    """Options of the evaluation of an adapter."""

    split: HeldOut = HeldOut.AUTO
    users: int = Field(1000, ge=2, le=10_000_000)
    """The largest number of held-out users, spread evenly over all of them."""
    ranking_users: int = Field(1000, ge=0, le=10_000_000)
    """The number of them for whom a title is generated and grounded to a ranking of the whole catalogue,
    which takes most of the time; 0 leaves ranking out."""
    beams: int = Field(4, ge=1, le=64)
    """The number of beams of the search for a title."""
    max_title_tokens: int = Field(32, ge=1, le=512)
    """A longer generated title is cut."""
    popularity_weight: float = Field(0.0, ge=0, le=1000)
    """γ of the grounding: the preference for popular items (BIGRec's injection)."""
    batch_tokens: int = Field(4096, ge=16)
    """The number of tokens in a batch, padding included."""
    seed: int = Field(0, ge=0, lt=2**31)
    """The seed of the order of shuffled histories."""
