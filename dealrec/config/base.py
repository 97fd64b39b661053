"""The base of all configuration models, and the report of errors in one."""

from collections.abc import Callable, Mapping
from typing import Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from dealrec.config.wording import field_errors, sentence
from dealrec.errors import InputError


def _listed(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Listed = BeforeValidator(_listed)
"""Lets a list of texts be given as one text with commas: ``--set lora.target_modules=q_proj,v_proj``."""


def unless(default: object) -> Callable[[Any], bool]:
    """Leave a field out of JSON at its default: keys of results from before it came stay as they are."""
    return lambda value: bool(value == default)


def overlaid(known: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``known`` with the options of ``more``, part by part."""
    parts = {
        name: overlaid(known[name], value)
        for name, value in more.items()
        if isinstance(value, Mapping) and isinstance(known.get(name), Mapping)
    }
    return {**known, **more, **parts}


class Config(BaseModel):
    """Base of immutable configuration models, for which an unknown field is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @classmethod
    def parse(cls, data: Any, *, location: str = "config") -> Self:
        """Validate ``data``.

        Raises:
            InputError: ``invalid_config``; it names each bad field under ``location``.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            errors = field_errors(error.errors(include_url=False), location, cls)
            raise InputError(
                sentence(errors[0])
                if len(errors) == 1
                else f"{len(errors)} fields of {location} cannot be used.",
                code="invalid_config",
                title="The configuration cannot be used",
                errors=errors,
            ) from None
