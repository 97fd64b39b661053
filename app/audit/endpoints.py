"""The audit trail of the caller's own tenant over HTTP, for its administrators."""

from typing import Annotated

from fastapi import APIRouter, Query

from dealrec.app.audit.repository import AuditRepository
from dealrec.app.audit.schemas import AuditEvent
from dealrec.app.kit.context import ContextDep
from dealrec.app.kit.pagination import Page, PageQuery
from dealrec.app.kit.problems import documented
from dealrec.app.kit.text import require_storable
from dealrec.app.tables.audit import AuditRow

router = APIRouter(prefix="/v1/audit", tags=["administration"])


@router.get("", operation_id="list_audit_events", responses=documented())
def list_audit_events(
    context: ContextDep,
    page: PageQuery,
    action: Annotated[
        str | None,
        Query(max_length=60, description="Only events with this action, for example `job.cancel`"),
    ] = None,
    object_id: Annotated[str | None, Query(max_length=40)] = None,
) -> Page[AuditEvent]:
    """List the actions of the tenant's users and keys, newest first."""
    require_storable([action, object_id])
    with context.read() as session:
        repository = AuditRepository(session, context.tenant_id)
        query = repository.query()
        if action is not None:
            query = query.where(AuditRow.action == action)
        if object_id is not None:
            query = query.where(AuditRow.object_id == object_id)
        return repository.page(query, page).page(AuditEvent.of)
