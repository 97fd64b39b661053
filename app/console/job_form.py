"""The form for a new job: its presets, its estimate, and the job made from it."""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dealrec.app.console.fields import (
    form_of,
    form_of_preset,
    job_form,
    read_budget,
    read_config,
)
from dealrec.app.console.pages import render
from dealrec.app.console.presets import PRESETS
from dealrec.app.console.session import Posted
from dealrec.app.datasets.endpoints import create_prompt_preview, list_datasets
from dealrec.app.datasets.preview import PromptPreviewCreate
from dealrec.app.datasets.schemas import Dataset
from dealrec.app.estimates.endpoints import create_estimate
from dealrec.app.jobs import endpoints as api
from dealrec.app.jobs.schemas import Job, JobCreate
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.errors import NotFound, status_of
from dealrec.app.kit.pagination import PageRequest
from dealrec.app.models.service import visible
from dealrec.app.tables.datasets import DatasetState
from dealrec.app.tables.jobs import SELECTING
from dealrec.config import PruneConfig, parse_budget
from dealrec.config.curve import parse_target
from dealrec.config.selector_groups import selector_groups
from dealrec.errors import DealrecError

router = APIRouter(prefix="/console/jobs", include_in_schema=False)
_MANY = PageRequest(200, None)
_DEFAULT = "default"


@router.get("/new")
def new_page(
    request: Request,
    context: ContextDep,
    dataset_id: str = "",
    preset: str = _DEFAULT,
    like: str = "",
) -> Response:
    """Show the form with a preset's values, or with those of the job ``like``."""
    if like:
        form = _form_like(context, like)
    elif preset in PRESETS:
        form = {"dataset_id": dataset_id, **form_of_preset(PRESETS[preset].config)}
    else:
        raise NotFound.of("preset", preset)
    return _page(request, context, form, preset="" if like else preset)


@router.post("")
def create(request: Request, context: ContextDep, form: Posted) -> Response:
    """Start the job of the form, or show the form again with its errors."""
    answer = Response()
    try:
        job = api.create_job(_request(form), answer, context)
    except DealrecError as error:
        return _page(request, context, form, error)
    return RedirectResponse(f"/console/jobs/{job.id}", status_code=303)


@router.post("/estimate")
def estimate_part(request: Request, context: ContextDep, form: Posted) -> Response:
    """Show the estimated cost of the form's job, or the form's errors."""
    try:
        found, problem = create_estimate(_request(form), context), None
    except DealrecError as error:
        found, problem = None, error.to_problem()
    return render(request, "parts/estimate.html", estimate=found, problem=problem)


@router.post("/prompt")
def prompt_part(request: Request, context: ContextDep, form: Posted) -> Response:
    """Show three samples in the words of the form's prompt, or the form's errors."""
    try:
        config = PruneConfig.parse(read_config(form))
        model = config.finetune or config.effort
        counted = {} if model is None else {"model": model.model, "max_tokens": model.max_tokens}
        asked = PromptPreviewCreate.model_validate(
            {
                "prompt": config.prompt,
                "sampling": config.sampling,
                "min_history": config.min_history,
                **counted,
            }
        )
        found = create_prompt_preview(form.get("dataset_id", ""), asked, context)
        problem = None
    except DealrecError as error:
        found, problem = None, error.to_problem()
    return render(request, "parts/prompt.html", preview=found, problem=problem)


def usable_datasets(context: Context) -> list[Dataset]:
    """Return the data sets that are ready for a job, or will be once they are validated."""
    return [
        dataset
        for dataset in list_datasets(context, _MANY).data
        if dataset.state is not DatasetState.REJECTED
    ]


def _form_like(context: Context, job_id: str) -> dict[str, str]:
    job = api.get_job(job_id, context)
    if job.kind not in SELECTING:
        raise NotFound.of("job with a form", job_id)
    return {"dataset_id": job.dataset_id, **_budget_of(job), **form_of(job.config)}


def _budget_of(job: Job) -> dict[str, str]:
    if job.target is not None:
        return {"budget": f"{100 * job.target.target:.12g}", "budget_unit": "target"}
    assert job.budget is not None
    asked = job.budget.requested
    if asked < 1:
        return {"budget": f"{100 * asked:.12g}", "budget_unit": "percent"}
    return {"budget": f"{asked:,}", "budget_unit": "samples"}


def _request(form: Mapping[str, str]) -> JobCreate:
    target = form.get("budget_unit") == "target"
    return JobCreate(
        dataset_id=form.get("dataset_id", ""),
        target=parse_target(f"{form.get('budget', '').rstrip('% ')} %") if target else None,
        budget=None if target else parse_budget(read_budget(form)),
        config=PruneConfig.parse(read_config(form)),
    )


def _page(
    request: Request,
    context: Context,
    form: Mapping[str, str],
    error: DealrecError | None = None,
    *,
    preset: str = "",
) -> Response:
    return render(
        request,
        "new_job.html",
        status=200 if error is None else status_of(error),
        datasets=usable_datasets(context),
        form=form,
        parts=job_form(form, visible(context.tenant_id)),
        selector_groups=selector_groups(),
        problem=error and error.to_problem(),
        presets=PRESETS.values(),
        preset=preset,
    )
