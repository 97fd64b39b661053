"""The operator's page: readiness, queues, workers, storage, failed jobs, and what may be chosen here."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from dealrec.app.catalogue import list_recommenders, list_surrogates
from dealrec.app.console.pages import render
from dealrec.app.health import readyz
from dealrec.app.jobs.endpoints import list_jobs
from dealrec.app.kit.caller import Scope
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.pagination import PageRequest
from dealrec.app.operation.endpoints import get_server
from dealrec.app.quotas.endpoints import get_quotas
from dealrec.app.stages.workers import SEEN_SECONDS, seen_lately
from dealrec.app.tables.jobs import JobState
from dealrec.config.selector_groups import selector_groups

router = APIRouter(prefix="/console", include_in_schema=False)
_FAILED = PageRequest(20, None)


@router.get("/server")
def server_page(request: Request, context: ContextDep) -> Response:
    """Show what needs an operator's attention, and the recommenders, surrogates and selectors.

    Queues and workers belong to all tenants, so only administrators see them.
    """
    administers = Scope.ADMIN in context.caller.scopes
    return render(
        request,
        "server.html",
        readiness=readyz(request, Response()),
        server=get_server(context) if administers else None,
        quotas=get_quotas(context).data,
        failed=list_jobs(context, _FAILED, state=JobState.FAILED).data,
        recommenders=list_recommenders().data,
        surrogates=list_surrogates().data,
        selector_groups=selector_groups(),
    )


def worker_seen(context: Context) -> bool:
    """Whether a worker has looked for work lately."""
    with context.read() as session:
        return seen_lately(session, SEEN_SECONDS)
