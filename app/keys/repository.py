"""Queries over tenants and keys. They come before any tenant is known."""

from datetime import datetime

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from app.keys.models import ApiKey, Tenant

# Made once: every request asks this.
_ANY_KEY = select(exists().where(ApiKey.id.is_not(None)))


def any_key(session: Session) -> bool:
    """Whether any key was ever made, valid or not."""
    return bool(session.connection().execute(_ANY_KEY).scalar_one())


def valid_key(session: Session, key_hash: str, now: datetime) -> ApiKey | None:
    """The key with this hash, unless it has expired or was revoked."""
    return session.scalars(
        select(ApiKey).where(
            ApiKey.key_hash == key_hash,
            ApiKey.revoked_at.is_(None),
            or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
        )
    ).one_or_none()


def key_exists(session: Session, key_hash: str) -> bool:
    """Whether this key is known, valid or not."""
    return session.scalars(select(ApiKey.id).where(ApiKey.key_hash == key_hash)).first() is not None


def ensure_tenant(session: Session, tenant_id: str, now: datetime) -> None:
    """Make the tenant where there is none by that id."""
    if session.get(Tenant, tenant_id) is None:
        session.add(Tenant(id=tenant_id, name=tenant_id, created_at=now))
        session.flush()
