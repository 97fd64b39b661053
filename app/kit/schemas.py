"""The parts that requests of several areas share."""

import json
from typing import Annotated, Any, TypeVar

from fastapi import Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from dealrec.app.kit.text import require_storable
from dealrec.errors import FieldError, InputError

Cascade = Annotated[bool, Query(description="Take along all that depends on it")]


class Body(BaseModel):
    """A request's body: unknown fields are errors, and every text in it can be kept."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, data: Any) -> Any:
        require_storable(data)
        return data


_Body = TypeVar("_Body", bound=Body)


def is_json(request: Request) -> bool:
    """Whether the body says that it is JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json"


async def read_json(request: Request, model: type[_Body]) -> _Body:
    """The body as ``model``; raises what FastAPI raises for a body that it reads itself."""
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        found = [{**item, "loc": ("body", *item["loc"])} for item in error.errors()]
        raise RequestValidationError(found) from None


def parse_json(text: str, location: str) -> Any:
    """JSON from a form's field; raises :class:`InputError` (``invalid_json``)."""
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
