"""Queries over tenants and keys; those of the gate come before any tenant is known."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, exists, or_, select
from sqlalchemy.orm import Session

from dealrec.app.kit.database import DatabaseClock
from dealrec.app.kit.repository import TenantRepository
from dealrec.app.tables.keys import ApiKey, Tenant

# Made once: every request asks one of these.
_ANY_KEY = select(exists().where(ApiKey.id.is_not(None)))
_VALID = select(ApiKey.id, ApiKey.tenant_id, ApiKey.scopes).where(
    ApiKey.key_hash == bindparam("key_hash"),
    ApiKey.revoked_at.is_(None),
    or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > DatabaseClock()),
)


class KeyRepository(TenantRepository[ApiKey]):
    """A tenant's keys."""

    model = ApiKey
    noun = "key"


class ValidKey(NamedTuple):
    """What the gate needs to know of a key."""

    id: str
    tenant_id: str
    scopes: list[str]


def any_key(session: Session) -> bool:
    """Whether any key was ever made, valid or not."""
    return bool(session.connection().execute(_ANY_KEY).scalar_one())


def valid_key(session: Session, key_hash: str) -> ValidKey | None:
    """The key with this hash, unless it has expired or was revoked."""
    found = session.connection().execute(_VALID, {"key_hash": key_hash}).one_or_none()
    return None if found is None else ValidKey(*found)


def key_exists(session: Session, key_hash: str) -> bool:
    """Whether this key is known, valid or not."""
    return session.scalars(select(ApiKey.id).where(ApiKey.key_hash == key_hash)).first() is not None


def all_keys(session: Session, tenant_id: str | None) -> list[ApiKey]:
    """Of every tenant, or of one, the oldest first; for whoever runs the server."""
    query = select(ApiKey).order_by(ApiKey.id)
    if tenant_id is not None:
        query = query.where(ApiKey.tenant_id == tenant_id)
    return list(session.scalars(query))


def all_tenants(session: Session) -> list[Tenant]:
    """By name; for whoever runs the server."""
    return list(session.scalars(select(Tenant).order_by(Tenant.name)))


def ensure_tenant(session: Session, tenant_id: str, now: datetime) -> None:
    """Make the tenant where there is none by that id."""
    if session.get(Tenant, tenant_id) is None:
        session.add(Tenant(id=tenant_id, name=tenant_id, quotas={}, created_at=now))
        session.flush()
