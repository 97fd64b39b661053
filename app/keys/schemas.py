"""The schemas of keys over HTTP."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints

from dealrec.app.kit.caller import Scope
from dealrec.app.kit.schemas import Body
from dealrec.app.tables.keys import ApiKey


class KeyCreate(Body):
    """A request for a key of the caller's own tenant."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
    """A name that says what the key is for."""
    scopes: Annotated[frozenset[Scope], Field(min_length=1)] = frozenset({Scope.READ, Scope.WRITE})
    expires_days: Annotated[int, Field(ge=1, le=36500)] | None = None


class Key(BaseModel):
    """A key, without its text, which is not stored."""

    id: str
    object: Literal["key"] = "key"
    name: str
    prefix: str
    """The first characters of the key's text, by which it can be recognized."""
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, row: ApiKey) -> Self:
        """Make the schema of a row."""
        return cls.model_validate(row, from_attributes=True)


class NewKey(Key):
    """A new key with its text, which is shown only once."""

    key: str
