"""The state of the server over HTTP, for administrators."""

from fastapi import APIRouter

from dealrec.app.kit.context import ContextDep
from dealrec.app.kit.problems import documented
from dealrec.app.operation.schemas import ServerState
from dealrec.app.operation.service import server_state

router = APIRouter(prefix="/v1/server", tags=["administration"])


@router.get("", operation_id="get_server", responses=documented())
def get_server(context: ContextDep) -> ServerState:
    """Show the queues, what the workers are doing, and how much is stored, over all tenants.

    Work of other tenants is shown as numbers and names of stages, without ids.
    """
    with context.read() as session:
        return server_state(session, context.storage, context.tenant_id)
