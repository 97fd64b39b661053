"""The quotas, and what they look like over HTTP."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel


class Quota(StrEnum):
    """What is limited."""

    STORED_BYTES = "stored_bytes"
    """Of uploads, data sets, kept results, coresets and adapters."""
    OPEN_JOBS = "open_jobs"
    """Jobs that have not ended, paused ones included."""
    GPU_SECONDS = "gpu_seconds"
    """That stages have used a GPU lately, whatever became of them."""


class QuotaUse(BaseModel):
    """One quota of the caller's tenant."""

    quota: Quota
    limit: float | None
    """Null: no limit."""
    used: float


class QuotaUses(BaseModel):
    """All quotas of the caller's tenant."""

    object: Literal["quotas"] = "quotas"
    data: list[QuotaUse]
