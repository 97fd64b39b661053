"""The things that can be chosen, as data: language models, layouts of files, and methods."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from dealrec.client.records import Record


class LanguageModel(Record):
    """A language model that the service allows."""

    name: str
    object: str
    parameters: int
    architecture: str
    licence: str
    revision: str
    available: bool
    state: str = ""
    """``ready``, ``not_pulled`` or ``unusable``."""
    reason: str | None = None
    """Why its files are not on the server."""
    bytes: int | None = None
    """The size of the weights on disk."""
    source: str = ""
    """``repository``, ``folder``, ``gguf`` or ``package``."""
    repository: str | None = None
    dtype: str | None = None
    attention: str = "auto"
    quantization: str = "none"
    target_modules: list[str] = Field(default_factory=list)
    prompt_format: str = "auto"
    max_tokens: int | None = None
    measured: list[Mapping[str, Any]] = Field(default_factory=list)
    """The time and memory that ``dealrec models check`` measured, by device."""


class LayoutForm(Record):
    """The columns of a file under our names, and its format as far as a layout says it."""

    columns: Mapping[str, str]
    format: Mapping[str, Any]


class Layout(Record):
    """A named layout of files, with the forms that its files of interactions and of items have."""

    name: str
    object: str
    summary: str
    interactions: list[LayoutForm]
    items: list[LayoutForm]


class Choice(Record):
    """A recommender, a surrogate or a selector; ``parameters`` is a JSON Schema."""

    name: str
    object: str
    summary: str
    needs: list[str]
    parameters: Mapping[str, Any]
    without_ids: bool | None = None
    """Whether a selector works on texts without ids."""
