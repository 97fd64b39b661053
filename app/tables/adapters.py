"""The table of adapters."""

from datetime import datetime
from typing import TypedDict

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from dealrec.app.tables.base import Base, BigInt, Id, Json, TenantOwned, UtcDateTime


class StoredFile(TypedDict):
    """A file of a PEFT folder."""

    name: str
    bytes: int
    sha256: str


class AdapterRow(TenantOwned, Base):
    """A LoRA adapter; its PEFT folder lives in object storage."""

    __tablename__ = "adapters"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id"), index=True)
    coreset_id: Mapped[str] = mapped_column(ForeignKey("coresets.id"), index=True)
    name: Mapped[str] = mapped_column(String(200), default="")
    model: Mapped[str] = mapped_column(String(200))
    revision: Mapped[str | None] = mapped_column(String(200))
    config: Mapped[dict[str, object]] = mapped_column(Json)
    """A ``FinetuneConfig``."""
    metrics: Mapped[dict[str, float]] = mapped_column(Json, default=dict)
    files: Mapped[list[StoredFile]] = mapped_column(Json)
    prefix: Mapped[str] = mapped_column(String(500))
    stored_bytes: Mapped[int] = mapped_column(BigInt, default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
