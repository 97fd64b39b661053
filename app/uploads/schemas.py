"""The schemas of uploads over HTTP."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints

from dealrec.app.kit.schemas import Body
from dealrec.app.tables.uploads import UploadPartRow, UploadRow


class UploadState(StrEnum):
    """The state of an upload."""

    OPEN = "open"
    COMPLETE = "complete"


class UploadCreate(Body):
    """A file that is about to be sent."""

    filename: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    bytes: int = Field(ge=1, lt=2**53)
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The hash of the whole file, which is checked at the end."""


class UploadPart(BaseModel):
    """A part that has arrived."""

    number: int
    bytes: int
    sha256: str


class Upload(BaseModel):
    """A file that is sent in parts of ``part_bytes`` bytes, numbered from 1. The last part has the rest."""

    id: str
    object: Literal["upload"] = "upload"
    state: UploadState
    filename: str
    bytes: int
    sha256: str | None
    part_bytes: int
    received_bytes: int
    parts: list[UploadPart]
    """The parts that have arrived; empty once the upload is complete."""
    created_at: datetime
    expires_at: datetime
    """The time at which the upload is deleted. Data sets made from it stay."""

    @classmethod
    def of(cls, row: UploadRow, parts: Sequence[UploadPartRow]) -> Self:
        """Make the schema of an upload's rows."""
        complete = row.key is not None
        return cls(
            id=row.id,
            state=UploadState.COMPLETE if complete else UploadState.OPEN,
            filename=row.filename,
            bytes=row.bytes,
            sha256=row.sha256,
            part_bytes=row.part_bytes,
            received_bytes=row.bytes if complete else sum(part.bytes for part in parts),
            parts=[UploadPart.model_validate(part, from_attributes=True) for part in parts],
            created_at=row.created_at,
            expires_at=row.expires_at,
        )
