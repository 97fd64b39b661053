"""The table of idempotency keys."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from dealrec.app.tables.base import Base, Id, Json, UtcDateTime


class IdempotencyRow(Base):
    """A key that a tenant has used; it is reserved while its request runs, then holds the answer."""

    __tablename__ = "idempotency_keys"

    tenant_id: Mapped[str] = mapped_column(Id, primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    route: Mapped[str] = mapped_column(String(500))
    """The method, path and query of the request."""
    token: Mapped[str] = mapped_column(Id)
    """The token of the request that holds the reservation; a write with another one changes nothing."""
    request_sha256: Mapped[str | None] = mapped_column(String(64))
    """The hash of the body; null until the request is answered."""
    status: Mapped[int | None]
    answer: Mapped[dict[str, object] | None] = mapped_column(Json)
    location: Mapped[str | None] = mapped_column(String(500))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    """The time of the reservation."""
