"""The quotas and their schemas over HTTP."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel


class Quota(StrEnum):
    """The limited quantities."""

    STORED_BYTES = "stored_bytes"
    """The bytes of uploads, data sets, stored results, coresets and adapters."""
    OPEN_JOBS = "open_jobs"
    """The number of jobs that have not ended, including paused ones."""
    GPU_SECONDS = "gpu_seconds"
    """The GPU seconds that stages used recently, whether they succeeded or not."""


class QuotaUse(BaseModel):
    """One quota of the caller's tenant."""

    quota: Quota
    limit: float | None
    """Null means no limit."""
    used: float


class QuotaUses(BaseModel):
    """All quotas of the caller's tenant."""

    object: Literal["quotas"] = "quotas"
    data: list[QuotaUse]
