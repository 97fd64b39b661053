"""Quotas over HTTP."""

from fastapi import APIRouter

from dealrec.app.kit.context import ContextDep
from dealrec.app.kit.problems import documented
from dealrec.app.quotas import service
from dealrec.app.quotas.schemas import QuotaUses

router = APIRouter(prefix="/v1/quotas", tags=["administration"])


@router.get("", operation_id="get_quotas", responses=documented())
def get_quotas(context: ContextDep) -> QuotaUses:
    """Return the tenant's quotas, and how much of each is used."""
    with context.read() as session:
        return QuotaUses(data=service.uses(session, context.tenant_id))
