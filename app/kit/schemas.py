"""The parts that requests of several areas share."""

import json
from collections.abc import Iterable
from typing import Annotated, Any, Self, TypeVar

from fastapi import Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from dealrec.app.kit.text import require_storable
from dealrec.errors import FieldError, InputError

Cascade = Annotated[bool, Query(description="Also delete everything that depends on this")]


class Body(BaseModel):
    """The body of a request. Unknown fields are errors, and every text can be stored."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, data: Any) -> Any:
        require_storable(data)
        return data


class OptionNote(BaseModel):
    """A warning about an option: ``location``, followed by ``message``, is a sentence."""

    location: str
    message: str

    @classmethod
    def of_all(cls, found: Iterable[FieldError]) -> list[Self]:
        """Make the schemas of warnings."""
        return [cls(location=one.location, message=one.message) for one in found]


_Body = TypeVar("_Body", bound=Body)


def is_json(request: Request) -> bool:
    """Whether the request declares its body as JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json"


async def read_json(request: Request, model: type[_Body]) -> _Body:
    """Read the body as ``model``; raises the same errors as FastAPI's own reading of bodies."""
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        found = [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        raise RequestValidationError(found) from None


def parse_json(text: str, location: str) -> Any:
    """Read JSON from a form's field; raises :class:`InputError` (``invalid_json``)."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
        raise InputError(
            f"`{location}` is not JSON: {message}.",
            code="invalid_json",
            title="A field is not JSON",
            errors=[FieldError(location, message)],
        ) from None
    require_storable(value, location)
    return value
