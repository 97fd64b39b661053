"""The base of all configuration models, and the report of errors in one."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from dealrec.errors import FieldError, InputError


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
    """Turn Pydantic's errors into dotted locations and messages, without the input values."""
    found = []
    for item in error.errors(include_url=False, include_input=False, include_context=False):
        parts = [str(part) for part in item["loc"] if part != "[key]"]  # a key of a mapping
        path = ".".join([location, *parts])
        found.append(FieldError(path.strip("."), plain_message(item["msg"])))
    return found


def plain_message(message: str) -> str:
    """Remove the name of the exception from a message of Pydantic."""
    return message.removeprefix("Value error, ")
