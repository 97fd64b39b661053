"""Entries of the audit trail."""

from sqlalchemy.orm import Session

from dealrec.app.kit.database import database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.tables.audit import Actor, AuditRow


def record(
    session: Session,
    tenant_id: str,
    action: str,
    object_id: str,
    *,
    actor: Actor,
    key_id: str | None = None,
    request_id: str | None = None,
) -> None:
    """Record one action in the caller's transaction, so that it exists exactly if its effect does."""
    session.add(
        AuditRow(
            id=new_id("au"),
            tenant_id=tenant_id,
            action=action,
            object_id=object_id,
            actor=actor.value,
            key_id=key_id,
            request_id=request_id,
            created_at=database_now(session),
        )
    )
    session.flush()
