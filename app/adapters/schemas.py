"""The schemas of adapters over HTTP."""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel

from dealrec.app.tables.adapters import AdapterRow


class AdapterFile(BaseModel):
    """A file of a PEFT folder."""

    name: str
    bytes: int
    sha256: str


class Adapter(BaseModel):
    """A LoRA adapter."""

    id: str
    object: Literal["adapter"] = "adapter"
    name: str
    job_id: str
    dataset_id: str
    coreset_id: str
    model: str
    revision: str | None
    config: dict[str, Any]
    metrics: dict[str, float]
    files: list[AdapterFile]
    created_at: datetime

    @classmethod
    def of(cls, row: AdapterRow) -> Self:
        """Make the schema of a row."""
        return cls.model_validate(row, from_attributes=True)
