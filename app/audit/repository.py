"""Queries over the audit trail."""

from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from dealrec.app.kit.database import database_now
from dealrec.app.kit.repository import TenantRepository
from dealrec.app.tables.audit import AuditRow


class AuditRepository(TenantRepository[AuditRow]):
    """A tenant's audit trail."""

    model = AuditRow
    noun = "audit event"


def newest(session: Session, tenant_id: str | None, limit: int) -> list[AuditRow]:
    """List the events of all tenants, or of one, newest first; operators use it."""
    query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
    if tenant_id is not None:
        query = query.where(AuditRow.tenant_id == tenant_id)
    return list(session.scalars(query))


def forget_old(session: Session, *, days: float) -> None:
    """Remove events that are older than ``days``."""
    before = database_now(session) - timedelta(days=days)
    session.execute(delete(AuditRow).where(AuditRow.created_at < before))
