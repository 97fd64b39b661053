"""API keys: made, hashed, checked."""

import hashlib
import re
import secrets
from datetime import timedelta

from sqlalchemy.orm import Session

from app.keys import repository
from app.keys.models import ApiKey
from app.kit.database import Database, database_now
from app.kit.errors import Unauthenticated
from app.kit.ids import new_id
from app.settings import Settings
from dealrec.errors import FieldError, InputError

_KEY = re.compile(r"dr_[A-Za-z0-9_-]{20,200}", re.ASCII)
_TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}", re.ASCII)
_SHOWN = 9


def create_key(
    session: Session, name: str, tenant_id: str = "default", expires_days: int | None = None
) -> tuple[ApiKey, str]:
    """A new key and its text, which is not kept: 256 random bits behind ``dr_``.

    Raises :class:`InputError` (``invalid_tenant``, ``invalid_name``).
    """
    if not _TENANT.fullmatch(tenant_id):
        raise InputError(
            "A tenant is named by up to 40 lower-case letters, digits, `-` and `_`.",
            code="invalid_tenant",
            errors=[FieldError("tenant", "lower-case letters, digits, `-` and `_`")],
        )
    if not name or len(name) > 200:
        raise InputError("A key needs a name of up to 200 characters.", code="invalid_name")
    text = f"dr_{secrets.token_urlsafe(32)}"
    return _store(session, text, name, tenant_id, expires_days), text


def ensure_bootstrap(database: Database, settings: Settings) -> None:
    """Make the tenant ``default``, and the bootstrap key valid for it.

    Raises :class:`InputError` (``invalid_key``) for a bootstrap key that does not look like one.
    """
    with database.session() as session:
        repository.ensure_tenant(session, "default", database_now(session))
        if settings.bootstrap_key is None:
            return
        text = settings.bootstrap_key.get_secret_value()
        if not _KEY.fullmatch(text):
            raise InputError(
                "DEALREC_BOOTSTRAP_KEY must be `dr_` and at least 20 letters, digits, `-` or `_`.",
                code="invalid_key",
            )
        if not repository.key_exists(session, _hash(text)):
            _store(session, text, "bootstrap", "default", None)


def keys_required(session: Session, settings: Settings) -> bool:
    """Whether callers must show a key."""
    if settings.require_keys is not None:
        return settings.require_keys
    return settings.bootstrap_key is not None or repository.any_key(session)


def authenticate(
    database: Database, settings: Settings, authorization: str | None, *, needed: bool
) -> tuple[str | None, bool]:
    """The tenant of the ``Authorization`` header, and whether keys are required at all.

    Raises :class:`Unauthenticated` where a key is required and ``needed`` on this path, but is
    missing or not valid.
    """
    with database.session(write=False) as session:
        if not keys_required(session, settings):
            return None, False
        if not needed:
            return None, True
        scheme, _, text = (authorization or "").partition(" ")
        text = text.strip()
        if scheme.lower() != "bearer" or not _KEY.fullmatch(text):
            raise Unauthenticated("Send `Authorization: Bearer dr_…`.")
        key = repository.valid_key(session, _hash(text), database_now(session))
        if key is None:
            raise Unauthenticated("The key is unknown, has expired or was revoked.")
        return key.tenant_id, True


def _store(
    session: Session, text: str, name: str, tenant_id: str, expires_days: int | None
) -> ApiKey:
    now = database_now(session)
    repository.ensure_tenant(session, tenant_id, now)
    key = ApiKey(
        id=new_id("key"),
        tenant_id=tenant_id,
        name=name,
        prefix=text[:_SHOWN],
        key_hash=_hash(text),
        created_at=now,
        expires_at=None if expires_days is None else now + timedelta(days=expires_days),
        revoked_at=None,
    )
    session.add(key)
    session.flush()
    return key


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
