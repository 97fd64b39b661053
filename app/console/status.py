"""The page for operators of the server: its readiness and its catalogue."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from dealrec.app.catalogue import (
    list_recommenders,
    list_selectors,
    list_surrogates,
)
from dealrec.app.console.pages import render
from dealrec.app.health import WORKER_SEEN_SECONDS, readyz
from dealrec.app.kit.context import Context
from dealrec.app.stages.workers import seen_lately

router = APIRouter(prefix="/console", include_in_schema=False)


@router.get("/server")
def server_page(request: Request) -> Response:
    """Show readiness and the available recommenders, surrogates and selectors."""
    return render(
        request,
        "server.html",
        readiness=readyz(request, Response()),
        recommenders=list_recommenders().data,
        surrogates=list_surrogates().data,
        selectors=list_selectors().data,
    )


def worker_seen(context: Context) -> bool:
    """Whether a worker has looked for work lately."""
    with context.read() as session:
        return seen_lately(session, WORKER_SEEN_SECONDS)
