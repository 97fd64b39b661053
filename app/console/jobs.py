"""Pages of jobs: the form, the stages as they go, the plots of their scores."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from app.console.datasets import names as dataset_names
from app.console.fields import job_form, read_budget, read_config
from app.console.pages import render
from app.console.plots import Plot, density_plot, histogram_plot
from app.console.session import Posted
from app.coresets.endpoints import list_coresets
from app.datasets.endpoints import list_datasets
from app.datasets.models import DatasetState
from app.estimates.endpoints import create_estimate
from app.jobs import endpoints as api
from app.jobs.repository import JobRepository
from app.jobs.schemas import JobCreate
from app.jobs.service import scores_prefix
from app.jobs.transitions import ENDED_JOBS
from app.kit.context import Context, ContextDep
from app.kit.downloads import scratch
from app.kit.errors import NotFound, status_of
from app.kit.pagination import PageQuery, PageRequest
from app.scores.schemas import ScoreName
from app.scores.service import histogram
from dealrec.config import PruneConfig, parse_budget
from dealrec.coresets.writer import SCORES
from dealrec.errors import DealrecError

router = APIRouter(prefix="/console/jobs", include_in_schema=False)
_MANY = PageRequest(200, None)
_BINS = 40
_ACTIONS = {
    "cancel": api.cancel_job,
    "pause": api.pause_job,
    "resume": api.resume_job,
    "retry": api.retry_job,
}


@router.get("")
def list_page(request: Request, context: ContextDep, page: PageQuery) -> Response:
    """All jobs."""
    jobs = api.list_jobs(context, page)
    return render(request, "jobs.html", jobs=jobs, names=dataset_names(context))


@router.get("/new")
def new_page(request: Request, context: ContextDep, dataset_id: str = "") -> Response:
    """The form, at the configuration's defaults."""
    return _form_page(request, context, {"dataset_id": dataset_id}, job_form())


@router.post("")
def create(request: Request, context: ContextDep, form: Posted) -> Response:
    """Start the job that the form asks for, or show the form again with what is wrong."""
    answer = Response()
    try:
        job = api.create_job(_asked(form), answer, context)
    except DealrecError as error:
        return _form_page(request, context, form, job_form(form), error)
    return RedirectResponse(f"/console/jobs/{job.id}", status_code=303)


@router.post("/estimate")
def estimate_part(request: Request, context: ContextDep, form: Posted) -> Response:
    """What the job that the form asks for would cost, or what is wrong with the form."""
    try:
        found, problem = create_estimate(_asked(form), context), None
    except DealrecError as error:
        found, problem = None, error.to_problem()
    return render(request, "parts/estimate.html", estimate=found, problem=problem)


@router.get("/{job_id}")
def job_page(request: Request, context: ContextDep, job_id: str) -> Response:
    """One job."""
    job = api.get_job(job_id, context)
    coresets = list_coresets(context, _MANY, job_id=job_id)
    return render(request, "job.html", job=job, coresets=coresets, ended=job.state in ENDED_JOBS)


@router.get("/{job_id}/live")
def live_part(request: Request, context: ContextDep, job_id: str) -> Response:
    """The changing part of the page; one that has just ended is loaded anew as a whole."""
    job = api.get_job(job_id, context)
    ended = job.state in ENDED_JOBS
    answer = render(request, "parts/job.html", job=job, ended=ended)
    if ended:
        answer.headers["hx-refresh"] = "true"
    return answer


@router.get("/{job_id}/plots")
def plots_part(request: Request, context: ContextDep, job_id: str) -> Response:
    """How the scores are spread, and what was selected of them."""
    return render(request, "parts/plots.html", plots=_plots(context, job_id))


@router.post("/{job_id}/{action}")
def act(context: ContextDep, job_id: str, action: str, _form: Posted) -> Response:
    """Cancel, pause, resume, retry or delete."""
    if action == "delete":
        api.delete_job(job_id, context, cascade=True)
        return RedirectResponse("/console/jobs", status_code=303)
    if action not in _ACTIONS:
        raise NotFound.of("action", action)
    _ACTIONS[action](job_id, context)
    return RedirectResponse(f"/console/jobs/{job_id}", status_code=303)


def _asked(form: dict[str, str]) -> JobCreate:
    return JobCreate(
        dataset_id=form.get("dataset_id", ""),
        budget=parse_budget(read_budget(form)),
        config=PruneConfig.parse(read_config(form)),
    )


def _form_page(
    request: Request,
    context: Context,
    form: dict[str, str],
    parts: list[Any],
    error: DealrecError | None = None,
) -> Response:
    datasets = [
        dataset
        for dataset in list_datasets(context, _MANY).data
        if dataset.state is not DatasetState.REJECTED
    ]
    return render(
        request,
        "new_job.html",
        status=200 if error is None else status_of(error),
        datasets=datasets,
        form=form,
        parts=parts,
        problem=error and error.to_problem(),
    )


def _plots(context: Context, job_id: str) -> list[Plot]:
    with context.read() as session:
        job = JobRepository(session, context.tenant_id).get(job_id)
        key = f"{scores_prefix(session, job)}/{SCORES}"
        measured = PruneConfig.parse(job.config).effort is not None
    names = [name for name in ScoreName if measured or name is not ScoreName.EFFORT]
    with scratch(context.settings) as folder:
        scores = context.storage.fetch_file(key, folder)
        plots = [histogram_plot(histogram(scores, name, _BINS)) for name in names]
        density = density_plot(scores)
    return plots if density is None else [*plots, density]
