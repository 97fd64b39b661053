"""The rules of API keys: creation, hashing, authentication, revocation."""

import hashlib
import re
import secrets
from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy.orm import Session

from dealrec.app.keys import repository
from dealrec.app.kit.caller import ALL_SCOPES, Caller, Scope
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.errors import Unauthenticated
from dealrec.app.kit.ids import new_id
from dealrec.app.settings import Settings
from dealrec.app.tables.keys import ApiKey
from dealrec.errors import FieldError, InputError

DEFAULT_TENANT = "default"
_KEY = re.compile(r"dr_[A-Za-z0-9_-]{20,200}", re.ASCII)
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
_SHOWN = 9


def create_key(
    session: Session,
    name: str,
    tenant_id: str = DEFAULT_TENANT,
    *,
    scopes: Iterable[Scope],
    expires_days: int | None = None,
) -> tuple[ApiKey, str]:
    """Create a key, and return it with its text: ``dr_`` and 256 random bits, which are not stored.

    Raises :class:`InputError` (``invalid_tenant``, ``invalid_name``).
    """
    require_tenant_name(tenant_id)
    if not name.strip() or len(name) > 200:
        raise InputError("The name of a key must have 1 to 200 characters.", code="invalid_name")
    text = f"dr_{secrets.token_urlsafe(32)}"
    return _store(session, text, name, tenant_id, scopes, expires_days), text


def require_tenant_name(tenant_id: str) -> None:
    """Raise :class:`InputError` (``invalid_tenant``) if the name cannot be used."""
    if not _TENANT.fullmatch(tenant_id):
        raise InputError(
            "The name of a tenant must have 1 to 40 lower-case letters, digits, `-` and `_`.",
            code="invalid_tenant",
            errors=[
                FieldError("tenant", "may contain only lower-case letters, digits, `-` and `_`")
            ],
        )


def require_administrator(scopes: Iterable[Scope]) -> None:
    """Raise :class:`InputError` (``first_key_not_admin``) if the first key would lock everybody out."""
    if Scope.ADMIN not in scopes:
        raise InputError(
            "The first key must have the scope `admin`: from then on every request needs a key, and "
            "only a key with this scope can create or revoke others.",
            code="first_key_not_admin",
            errors=[FieldError("scopes", "must contain `admin`")],
        )


def revoke_key(session: Session, key: ApiKey) -> None:
    """Revoke the key; a second revocation changes nothing."""
    if key.revoked_at is None:
        key.revoked_at = database_now(session)
        session.flush()


def ensure_bootstrap(database: Database, settings: Settings) -> None:
    """Create the tenant ``default``, and make the bootstrap key valid for it with all scopes.

    Raises :class:`InputError` (``invalid_key``) if the bootstrap key does not look like a key.
    """
    with database.session() as session:
        repository.ensure_tenant(session, DEFAULT_TENANT, database_now(session))
        if settings.bootstrap_key is None:
            return
        text = settings.bootstrap_key.get_secret_value()
        if not _KEY.fullmatch(text):
            raise InputError(
                "DEALREC_BOOTSTRAP_KEY must be `dr_` followed by at least 20 letters, digits, `-` or `_`.",
                code="invalid_key",
            )
        if not repository.key_exists(session, _hash(text)):
            _store(session, text, "bootstrap", DEFAULT_TENANT, ALL_SCOPES, None)


def keys_required(session: Session, settings: Settings) -> bool:
    """Whether callers must send a key."""
    if settings.require_keys is not None:
        return settings.require_keys
    return settings.bootstrap_key is not None or repository.any_key(session)


def authenticate(
    database: Database, settings: Settings, authorization: str | None, *, needed: bool
) -> Caller | None:
    """Return the caller who sent the ``Authorization`` header; a valid key takes one query.

    The result is ``None`` if keys are required, but not ``needed`` on this path. Raises
    :class:`Unauthenticated` if a needed key is missing or not valid.
    """
    scheme, _, text = (authorization or "").partition(" ")
    text = text.strip()
    shown = scheme.lower() == "bearer" and _KEY.fullmatch(text) is not None
    with database.session(write=False) as session:
        if shown and needed and settings.require_keys is not False:
            key = repository.valid_key(session, _hash(text))
            if key is not None:
                return Caller(key.tenant_id, key.id, frozenset(map(Scope, key.scopes)))
        if not keys_required(session, settings):
            return Caller(DEFAULT_TENANT, None, ALL_SCOPES)
    if not needed:
        return None
    raise Unauthenticated(
        "The key is unknown, has expired or was revoked."
        if shown
        else "Send the header `Authorization: Bearer dr_…`."
    )


def _store(
    session: Session,
    text: str,
    name: str,
    tenant_id: str,
    scopes: Iterable[Scope],
    expires_days: int | None,
) -> ApiKey:
    now = database_now(session)
    repository.ensure_tenant(session, tenant_id, now)
    key = ApiKey(
        id=new_id("key"),
        tenant_id=tenant_id,
        name=name,
        prefix=text[:_SHOWN],
        key_hash=_hash(text),
        scopes=[scope.value for scope in Scope if scope in set(scopes)],
        created_at=now,
        expires_at=None if expires_days is None else now + timedelta(days=expires_days),
        revoked_at=None,
    )
    session.add(key)
    session.flush()
    return key


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
