"""Options of measuring a fine-tuned language model on held-out users."""

from enum import StrEnum

from pydantic import Field

from dealrec.config.base import Config


class HeldOut(StrEnum):
    """Which interactions, never trained on, are asked for."""

    AUTO = "auto"
    """``test`` where there is such a split, else ``valid``."""
    VALID = "valid"
    TEST = "test"


class EvaluationConfig(Config):
    """What is asked of an adapter, and of how many users."""

    split: HeldOut = HeldOut.AUTO
    users: int = Field(1000, ge=2, le=10_000_000)
    """At most so many held-out users, spread evenly over all of them."""
    ranking_users: int = Field(1000, ge=0, le=10_000_000)
    """Of these, so many have a title written for them, which is grounded to a ranking of the whole
    catalogue; 0 leaves ranking out, which takes most of the time."""
    beams: int = Field(4, ge=1, le=64)
    """Of the search for a title."""
    max_title_tokens: int = Field(32, ge=1, le=512)
    """A longer written title is cut."""
    popularity_weight: float = Field(0.0, ge=0, le=1000)
    """γ of the grounding: how much popular items are preferred (BIGRec's injection)."""
    batch_tokens: int = Field(4096, ge=16)
    """Padded tokens at a time."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Of the order in which a shuffled history is shown."""
