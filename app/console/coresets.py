"""Pages of coresets: members and reasons, other selections, differences."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from app.console.fields import read_budget, selection_fields
from app.console.pages import render
from app.console.plots import strata_plot
from app.console.session import Posted
from app.coresets import endpoints as api
from app.coresets.schemas import CoresetCreate
from app.jobs.schemas import Job
from app.kit.context import ContextDep
from app.kit.pagination import PageQuery, PageRequest
from dealrec.config import parse_budget
from dealrec.coresets.formats import CoresetFormat

router = APIRouter(prefix="/console/coresets", include_in_schema=False)
_MANY = PageRequest(200, None)
_SELECTION = "selection."


@router.get("")
def list_page(request: Request, context: ContextDep, page: PageQuery) -> Response:
    """All coresets."""
    return render(request, "coresets.html", coresets=api.list_coresets(context, page))


@router.get("/{coreset_id}")
def coreset_page(
    request: Request,
    context: ContextDep,
    coreset_id: str,
    against: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """One coreset, set against another one if asked for."""
    coreset = api.get_coreset(coreset_id, context)
    return render(
        request,
        "coreset.html",
        coreset=coreset,
        against=against,
        others=[
            other
            for other in api.list_coresets(context, _MANY, job_id=coreset.job_id).data
            if other.id != coreset_id
        ],
        difference=api.get_diff(coreset_id, context, against) if against else None,
        samples=api.list_samples(coreset_id, context, PageRequest(25, None)),
        plot=strata_plot(coreset.coverage.strata),
        formats=list(CoresetFormat),
        fields=selection_fields(coreset.selection),
    )


@router.get("/{coreset_id}/samples")
def samples_part(
    request: Request,
    context: ContextDep,
    coreset_id: str,
    after: Annotated[str, Query(max_length=100)],
) -> Response:
    """The next members."""
    samples = api.list_samples(coreset_id, context, PageRequest(25, after))
    return render(request, "parts/members.html", samples=samples, coreset_id=coreset_id)


@router.get("/{coreset_id}/explanation")
def explanation_part(
    request: Request,
    context: ContextDep,
    coreset_id: str,
    sample_key: Annotated[str, Query(max_length=10_000)],
) -> Response:
    """Why a sample is in the coreset, or why not."""
    explanation = api.get_explanation(coreset_id, context, sample_key)
    return render(request, "parts/explanation.html", explanation=explanation)


@router.post("/{coreset_id}/reselect")
def reselect(request: Request, context: ContextDep, coreset_id: str, form: Posted) -> Response:
    """Select again from the same scores, and show what has changed, or the job that selects."""
    job_id = api.get_coreset(coreset_id, context).job_id
    selection = {
        name.removeprefix(_SELECTION): value
        for name, value in form.items()
        if name.startswith(_SELECTION)
    }
    body = CoresetCreate(budget=parse_budget(read_budget(form)), selection=selection)
    made = api.reselect(job_id, body, context)
    if isinstance(made, Job):
        target = f"/console/jobs/{made.id}"
    else:
        target = f"/console/coresets/{made.id}?against={coreset_id}"
    if "hx-request" in request.headers:
        return Response(headers={"hx-redirect": target})
    return RedirectResponse(target, status_code=303)
