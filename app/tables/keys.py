"""Tables of tenants and API keys."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from dealrec.app.tables.base import Base, Id, Json, TenantOwned, UtcDateTime


class Tenant(Base):
    """Whoever owns data sets and jobs; ``default`` is the one of the embedded shape."""

    __tablename__ = "tenants"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    quotas: Mapped[dict[str, float | None]] = mapped_column(Json, default=dict)
    """Its own limits by :class:`~app.quotas.schemas.Quota`, null for none; one that is not there is
    as the settings say."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ApiKey(TenantOwned, Base):
    """A key, of which only the hash is kept."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    prefix: Mapped[str] = mapped_column(String(16))
    """The first characters, to tell keys apart."""
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 of the key (which has 256 random bits: no slow hash is needed)."""
    scopes: Mapped[list[str]] = mapped_column(Json)
    """Of :class:`~dealrec.app.gate.permissions.Scope`."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
