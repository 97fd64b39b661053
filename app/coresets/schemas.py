"""What coresets look like over HTTP."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel

from app.coresets.models import CoresetRow
from app.kit.schemas import Body
from dealrec.config import Budget


class CoresetCreate(Body):
    """Another selection from a job's scores; what is left out is the job's."""

    budget: Budget | None = None
    selection: dict[str, Any] = {}  # noqa: RUF012
    """Fields of ``SelectionConfig``."""


class Coreset(BaseModel):
    """A selection that is kept."""

    id: str
    object: Literal["coreset"] = "coreset"
    job_id: str
    dataset_id: str
    size: int
    selection: dict[str, Any]
    sha256: str
    coverage: dict[str, Any]
    created_at: datetime

    @classmethod
    def of(cls, row: CoresetRow) -> Self:
        """The row in the contract's words."""
        return cls.model_validate(row, from_attributes=True)


class CoresetSample(BaseModel):
    """A member of a coreset."""

    sample_key: str
    user_id: str
    history: list[str]
    target: str
    instruction: str
    input: str
    output: str
    influence: float
    effort: float | None
    overall: float
    stratum: int | None
