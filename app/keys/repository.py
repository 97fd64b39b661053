"""Queries over tenants and keys; the gate's queries run before the tenant is known."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, exists, or_, select
from sqlalchemy.orm import Session

from dealrec.app.kit.database import DatabaseClock
from dealrec.app.kit.repository import TenantRepository
from dealrec.app.tables.keys import ApiKey, Tenant

# Every request runs one of these, so they are built once.
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
    """The facts of a key that the gate needs."""

    id: str
    tenant_id: str
    scopes: list[str]


def any_key(session: Session) -> bool:
    """Whether any key exists, valid or not."""
    return bool(session.connection().execute(_ANY_KEY).scalar_one())


def valid_key(session: Session, key_hash: str) -> ValidKey | None:
    """Return the key with this hash, unless it has expired or was revoked."""
    found = session.connection().execute(_VALID, {"key_hash": key_hash}).one_or_none()
    return None if found is None else ValidKey(*found)


def key_exists(session: Session, key_hash: str) -> bool:
    """Whether a key with this hash exists, valid or not."""
    return session.scalars(select(ApiKey.id).where(ApiKey.key_hash == key_hash)).first() is not None


def all_keys(session: Session, tenant_id: str | None) -> list[ApiKey]:
    """List the keys of all tenants, or of one, oldest first; operators use it."""
    query = select(ApiKey).order_by(ApiKey.id)
    if tenant_id is not None:
        query = query.where(ApiKey.tenant_id == tenant_id)
    return list(session.scalars(query))


def all_tenants(session: Session) -> list[Tenant]:
    """List all tenants by name; operators use it."""
    return list(session.scalars(select(Tenant).order_by(Tenant.name)))


def ensure_tenant(session: Session, tenant_id: str, now: datetime) -> None:
    """Create the tenant if it does not exist."""
    if session.get(Tenant, tenant_id) is None:
        session.add(Tenant(id=tenant_id, name=tenant_id, quotas={}, created_at=now))
        session.flush()
