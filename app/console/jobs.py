"""The pages of jobs: their running stages, the charts of their scores, other budgets."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from dealrec.app.console.charts import stage_charts, stored_charts
from dealrec.app.console.datasets import names as dataset_names
from dealrec.app.console.help import help_with_job
from dealrec.app.console.pages import render
from dealrec.app.console.session import Posted
from dealrec.app.console.status import worker_seen
from dealrec.app.coresets.endpoints import get_budget_sweep, list_coresets
from dealrec.app.coresets.schemas import Coreset
from dealrec.app.datasets.endpoints import get_dataset
from dealrec.app.datasets.schemas import Dataset
from dealrec.app.jobs import endpoints as api
from dealrec.app.jobs.repository import JobRepository
from dealrec.app.jobs.schemas import Job
from dealrec.app.jobs.service import scores_prefix
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.errors import NotFound
from dealrec.app.kit.pagination import PageQuery, PageRequest
from dealrec.app.tables.jobs import ENDED_JOBS, SELECTING, JobKind, JobState
from dealrec.coresets.writer import SCORES
from dealrec.errors import DealrecError

router = APIRouter(prefix="/console/jobs", include_in_schema=False)
_MANY = PageRequest(200, None)
_ACTIONS = {
    "cancel": api.cancel_job,
    "pause": api.pause_job,
    "resume": api.resume_job,
    "retry": api.retry_job,
}
_OFFERED = {
    JobState.QUEUED: ("pause", "cancel"),
    JobState.RUNNING: ("pause", "cancel"),
    JobState.PAUSING: ("cancel",),
    JobState.PAUSED: ("cancel", "resume"),
    JobState.FAILED: ("retry",),
}
"""The buttons of each state."""
_STOP_POLLING = 286
"""The status at which htmx asks no more."""


@router.get("")
def list_page(
    request: Request, context: ContextDep, page: PageQuery, state: JobState | Literal[""] = ""
) -> Response:
    """Show all jobs, or those in a state."""
    jobs = api.list_jobs(context, page, state=state or None)
    names = dataset_names(context)
    return render(request, "jobs.html", jobs=jobs, names=names, states=list(JobState), state=state)


@router.get("/{job_id}")
def job_page(request: Request, context: ContextDep, job_id: str) -> Response:
    """Show one job."""
    return render(request, "job.html", **vars(_view(context, api.get_job(job_id, context))))


@router.get("/{job_id}/live")
def live_part(
    request: Request,
    context: ContextDep,
    job_id: str,
    seen: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Show the current stages, and the buttons and results if they are no longer as ``seen``."""
    view = _view(context, api.get_job(job_id, context))
    return render(request, "parts/job_live.html", moved=view.mark != seen, **vars(view))


@router.get("/{job_id}/plots")
def plots_part(request: Request, context: ContextDep, job_id: str) -> Response:
    """Show the charts of the job's scores and of its selection."""
    with context.read() as session:
        job = JobRepository(session, context.tenant_id).get(job_id)
        key = f"{scores_prefix(session, job)}/{SCORES}"
    return render(request, "parts/plots.html", charts=stored_charts(context, key))


@router.get("/{job_id}/curves")
def curves_part(
    request: Request,
    context: ContextDep,
    job_id: str,
    stage: Annotated[str, Query(max_length=20)] = "",
) -> Response:
    """Show the losses and the learning rates of all stages, or of one, step by step."""
    job, found = api.get_job(job_id, context), api.get_metrics(job_id, context).series
    shown = [curve for curve in found if curve.run == 0 and stage in ("", curve.stage)]
    charts = stage_charts(shown)
    ended = job.state in ENDED_JOBS
    status = _STOP_POLLING if ended else 200
    return render(request, "parts/curves.html", status=status, charts=charts, ended=ended)


@router.get("/{job_id}/sweep")
def sweep_part(
    request: Request,
    context: ContextDep,
    job_id: str,
    budgets: Annotated[str, Query(max_length=1000)],
) -> Response:
    """Show the job's selection at other budgets, or the errors of these."""
    points, problem = [], None
    try:
        points = get_budget_sweep(job_id, context, budgets.replace(" ", "")).data
    except DealrecError as error:
        problem = error.to_problem()
    return render(request, "parts/sweep.html", points=points, problem=problem)


@router.post("/{job_id}/{action}")
def act(context: ContextDep, job_id: str, action: str, _form: Posted) -> Response:
    """Cancel, pause, resume, retry or delete the job."""
    if action == "delete":
        api.delete_job(job_id, context, cascade=True)
        return RedirectResponse("/console/jobs", status_code=303)
    if action not in _ACTIONS:
        raise NotFound.of("action", action)
    _ACTIONS[action](job_id, context)
    return RedirectResponse(f"/console/jobs/{job_id}", status_code=303)


def sweep_budgets(size: int) -> str:
    """Return budgets around ``size`` for the field of the sweep."""
    return ", ".join(str(n) for n in sorted({max(1, size // 4), max(1, size // 2), size, 2 * size}))


@dataclass(frozen=True)
class _JobView:
    """All that the page of a job and its live part show, by the names that their templates use."""

    job: Job
    dataset: Dataset
    ended: bool
    actions: tuple[str, ...]
    """The buttons."""
    alike: bool
    """Whether the form for a new job can start from this job's configuration."""
    reported: bool
    """Whether the job is a comparison that has left its report."""
    mark: str
    """Changes whenever buttons or results have to be drawn anew."""
    told: str
    """Text for screen readers, which read it out when it changes."""
    help_text: str | None
    no_worker: bool
    """Whether the job waits while no worker looks for work."""
    coresets: list[Coreset]
    budgets: str


def _view(context: Context, job: Job) -> _JobView:
    coresets = list_coresets(context, _MANY, job_id=job.id).data if job.coreset_id else []
    return _JobView(
        job=job,
        dataset=get_dataset(job.dataset_id, context),
        ended=job.state in ENDED_JOBS,
        actions=_OFFERED.get(job.state, ()),
        alike=job.kind in SELECTING,
        reported=job.kind is JobKind.COMPARISON and job.state is JobState.SUCCEEDED,
        mark=f"{job.state.value} {job.coreset_id} {job.adapter_id}",
        told=_told(job),
        help_text=help_with_job(job.error.get("code")) if job.error else None,
        no_worker=job.state is JobState.QUEUED and not worker_seen(context),
        coresets=coresets,
        budgets=sweep_budgets(coresets[-1].size) if coresets else "",
    )


def _told(job: Job) -> str:
    """Return the text for screen readers: states, without numbers that change every second."""
    busy = [stage.name for stage in job.stages if stage.state == "running"]
    return f"Job {job.state.value}" + (f": {', '.join(busy)}" if busy else "")
