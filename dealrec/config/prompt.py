"""Options of the words around a sample."""

from enum import StrEnum

from pydantic import Field

from dealrec.config.base import Config


class PromptFormat(StrEnum):
    """How the turns of a sample become the text that a language model reads."""

    AUTO = "auto"
    """``chat`` where the catalogue's entry of the model says so, else ``plain``."""
    PLAIN = "plain"
    """The turns stand one after the other, and the answer follows them."""
    CHAT = "chat"
    """The model's own chat template marks the turns, and the answer is the turn of the assistant."""


class PromptConfig(Config):
    """The wording of samples."""

    item_noun: str = Field("item", min_length=1, max_length=40, pattern=r"^[\w][\w \-]*$")
    """The word for an item in the prompt (``book``, ``game``)."""
    history_items: int = Field(10, ge=1, le=200)
    """The number of most recent items of the history in the prompt."""
    title_characters: int = Field(120, ge=8, le=2000)
    """A longer title is cut to this length at the end of a word."""
    # A field that came later is left out of JSON at its default: so keys of older results stay.
    format: PromptFormat = Field(PromptFormat.AUTO, exclude_if=lambda value: value == "auto")
    """Whether language models read the samples in their chat template. ``auto`` goes by the catalogue."""
