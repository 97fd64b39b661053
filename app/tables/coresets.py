"""The table of coresets."""

from datetime import datetime
from typing import TypedDict

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from dealrec.app.tables.base import Base, BigInt, Id, Json, TenantOwned, UtcDateTime


class StoredStratum(TypedDict):
    """A stratum ``[low, high]`` of the overall score: how many samples it had and gave."""

    index: int
    low: float
    high: float
    available: int
    selected: int


class StoredCoverage(TypedDict):
    """Distinct users and items in the samples, and how each stratum was used."""

    users: int
    items: int
    strata: list[StoredStratum]


class CoresetRow(TenantOwned, Base):
    """A selection from a job's scores; members and manifest live in object storage."""

    __tablename__ = "coresets"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    size: Mapped[int] = mapped_column(BigInt)
    selection: Mapped[dict[str, object]] = mapped_column(Json)
    """A ``SelectionConfig``."""
    sha256: Mapped[str] = mapped_column(String(64))
    """The hash of the sample keys, JSON-encoded, sorted by bytes, one a line."""
    coverage: Mapped[StoredCoverage] = mapped_column(Json)
    prefix: Mapped[str] = mapped_column(String(500))
    """The storage prefix of ``members.parquet`` and ``manifest.json``."""
    stored_bytes: Mapped[int] = mapped_column(BigInt, default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
