"""Options of the data: splits, sampling units, prompts."""

from enum import StrEnum

from pydantic import Field

from dealrec.config.base import Config


class SplitMethod(StrEnum):
    """The way interactions are divided into training, validation and test."""

    COLUMN = "column"
    """The file's own ``split`` column."""
    GLOBAL_TIME = "global_time"
    """The oldest 80 % of all interactions are training, then 10 % validation, 10 % test (the paper)."""
    LEAVE_ONE_OUT = "leave_one_out"
    """Each user's last interaction is test, the one before it validation."""


class Split(StrEnum):
    """A part of a data set."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


class Sampling(StrEnum):
    """The unit of sampling."""

    PER_USER = "per_user"
    """The target is a user's last training item, and the history is the training items before it."""
    PER_INTERACTION = "per_interaction"
    """Every training item with enough history before it is the target of one sample."""


class PromptConfig(Config):
    """The wording of samples."""

    item_noun: str = Field("item", min_length=1, max_length=40, pattern=r"^[\w][\w \-]*$")
    """The word for an item in the prompt (``book``, ``game``)."""
    history_items: int = Field(10, ge=1, le=200)
    """The number of most recent items of the history in the prompt."""
    title_characters: int = Field(120, ge=8, le=2000)
    """A longer title is cut to this length at the end of a word."""
