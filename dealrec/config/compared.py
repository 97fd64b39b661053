"""A selector that is compared, with options of its own."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from dealrec.config.base import Config
from dealrec.config.selection import SelectionChanges, SelectionMethod

ALL_DATA = "all data"
"""The name of training on all samples in a report, or on as many as the headroom is shown with."""
EXCHANGED = "histories exchanged"
"""The name of training on the best coreset with histories exchanged between its users."""


class ComparedSelector(Config):
    """A selector with options of its own."""

    method: SelectionMethod
    label: str | None = Field(None, min_length=1, max_length=60)
    """The selector's name in the report, which must be unique; default: its method."""
    runs: int | None = Field(None, ge=2, le=1000)
    """``None``: as many as ``seeds``."""
    selection: SelectionChanges = Field(default_factory=dict)
    """Options of the selection that differ from ``config.selection``."""
    added: bool = False
    """Whether it is here as a control or by default, and not because it was asked for."""

    @model_validator(mode="after")
    def _own_label(self) -> Self:
        """A label that says what another selector is would be taken for it."""
        taken = {ALL_DATA, EXCHANGED, *SelectionMethod} - {self.method}
        if self.label in taken:
            raise ValueError(f"the label `{self.label}` is already the name of something else")
        return self

    @property
    def name(self) -> str:
        """Its label, or that of its method."""
        return self.label or self.method.value


NamedSelector = Annotated[
    ComparedSelector,
    BeforeValidator(
        lambda value: {"method": value} if isinstance(value, str) else value,
        json_schema_input_type=SelectionMethod | ComparedSelector,
    ),
]
