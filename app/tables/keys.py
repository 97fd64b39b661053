"""The tables of tenants and API keys."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from dealrec.app.tables.base import Base, Id, Json, TenantOwned, UtcDateTime


class Tenant(Base):
    """An owner of data sets and jobs; the embedded shape uses the tenant ``default``."""

    __tablename__ = "tenants"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    quotas: Mapped[dict[str, float | None]] = mapped_column(Json, default=dict)
    """The tenant's own limits by :class:`~dealrec.app.quotas.schemas.Quota`; null means no limit, and the
    settings give the limits that are missing."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ApiKey(TenantOwned, Base):
    """An API key, of which only the hash is stored."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    prefix: Mapped[str] = mapped_column(String(16))
    """The first characters of the text, which tell keys apart."""
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    """The SHA-256 of the key, whose 256 random bits need no slow hash."""
    scopes: Mapped[list[str]] = mapped_column(Json)
    """Values of :class:`~dealrec.app.gate.permissions.Scope`."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
