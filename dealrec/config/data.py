"""Options of the data: splits, sampling units, prompts."""

from enum import StrEnum

from pydantic import Field

from dealrec.config.base import Config


class SplitMethod(StrEnum):
    """How interactions are divided into training, validation and test."""

    COLUMN = "column"
    """The file's own ``split`` column."""
    GLOBAL_TIME = "global_time"
    """8:1:1 by timestamp over all users (the paper)."""
    LEAVE_ONE_OUT = "leave_one_out"
    """Each user's last interaction is test, the one before it validation."""


class Split(StrEnum):
    """A part of the data."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


class Sampling(StrEnum):
    """What one sample is."""

    PER_USER = "per_user"
    """A user's last training item is the target, the training items before it the history."""
    PER_INTERACTION = "per_interaction"
    """Every training item with enough history before it is a target once."""


class PromptConfig(Config):
    """How a sample is put into words."""

    item_noun: str = Field("item", min_length=1, max_length=40, pattern=r"^[\w][\w \-]*$")
    """What the items are called in the prompt (``book``, ``game``)."""
    history_items: int = Field(10, ge=1, le=200)
    """The most recent items of the history that the prompt names."""
    title_characters: int = Field(120, ge=8, le=2000)
    """A longer title is cut at this length, at a word."""
