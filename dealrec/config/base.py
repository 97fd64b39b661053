"""What all configuration models share, and how a bad one is reported."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from dealrec.errors import FieldError, InputError


class Config(BaseModel):
    """Immutable, and strict about names: an unknown field is an error, never dropped."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @classmethod
    def parse(cls, data: Any, *, location: str = "config") -> Self:
        """Validate ``data``; raises :class:`InputError` naming each bad field under ``location``."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            errors = field_errors(error, location)
            raise InputError(
                f"{errors[0].location}: {errors[0].message}."
                if len(errors) == 1
                else f"{len(errors)} fields of {location} cannot be used.",
                code="invalid_config",
                title="The configuration cannot be used",
                errors=errors,
            ) from None


def field_errors(error: ValidationError, location: str) -> list[FieldError]:
    """Pydantic's findings as (dotted location, message); input values are left out."""
    found = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        path = ".".join([location, *(str(part) for part in item["loc"])])
        found.append(FieldError(path.strip("."), plain_message(item["msg"])))
    return found


def plain_message(message: str) -> str:
    """Pydantic's message without the name of the exception that carried it."""
    return message.removeprefix("Value error, ")
