"""What keys look like over HTTP."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints

from dealrec.app.kit.caller import Scope
from dealrec.app.kit.schemas import Body
from dealrec.app.tables.keys import ApiKey


class KeyCreate(Body):
    """A key of the caller's own tenant."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
    """What it is for."""
    scopes: Annotated[frozenset[Scope], Field(min_length=1)] = frozenset({Scope.READ, Scope.WRITE})
    expires_days: Annotated[int, Field(ge=1, le=36500)] | None = None


class Key(BaseModel):
    """A key; its text is not kept."""

    id: str
    object: Literal["key"] = "key"
    name: str
    prefix: str
    """The first characters, to tell keys apart."""
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, row: ApiKey) -> Self:
        """The row in the contract's words."""
        return cls.model_validate(row, from_attributes=True)


class NewKey(Key):
    """A key just made, with its text, which is shown this once."""

    key: str
