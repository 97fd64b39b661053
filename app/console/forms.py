"""Forms as the requests that they stand for."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dealrec.config.wording import field_errors, sentence
from dealrec.errors import InputError

Body = TypeVar("Body", bound=BaseModel)


def request_of(model: type[Body], asked: Mapping[str, Any], *, code: str) -> Body:
    """Make the request; raises :class:`InputError` with ``code``, which says what is wrong at which field."""
    try:
        return model.model_validate(asked)
    except ValidationError as error:
        errors = field_errors(error.errors(), "", model)
        raise InputError(" ".join(map(sentence, errors)), code=code, errors=errors) from None
