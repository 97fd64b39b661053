"""The form for a new job: its presets, its estimate, and the job made from it."""

from collections.abc import Collection, Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dealrec.app.console.continuing import (
    FROM,
    form_of_continuation,
    going_on,
    read_continuation,
)
from dealrec.app.console.fields import (
    form_of,
    form_of_preset,
    job_form,
    read_budget,
    read_config,
)
from dealrec.app.console.pages import asks_for_part, raise_into_page, render
from dealrec.app.console.presets import OF_TEXTS, PRESETS, Preset
from dealrec.app.console.session import Posted
from dealrec.app.datasets.endpoints import create_prompt_preview, list_datasets
from dealrec.app.datasets.schemas import Dataset, PromptPreviewCreate
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
from dealrec.config.data import DataKind
from dealrec.config.selector_groups import selector_groups
from dealrec.errors import DealrecError

router = APIRouter(prefix="/console/jobs", include_in_schema=False)
_MANY = PageRequest(200, None)
_DEFAULT, _METHOD = "default", "selection.method"


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
        return _page(request, context, {**_form_like(context, like), "like": like})
    options = _options(context, _preset(preset), dataset_id)
    form = {"dataset_id": dataset_id, **form_of_preset(options), "preset": preset}
    return _page(request, context, form)


@router.post("/preset")
def preset_part(request: Request, context: ContextDep, form: Posted) -> Response:
    """Show the options of another preset; what was entered stays as it is."""
    page = "parts/job_options.html" if asks_for_part(request) else "new_job.html"
    return _page(request, context, _with_preset(context, form), page=page)


@router.post("")
def create(request: Request, context: ContextDep, form: Posted) -> Response:
    """Start the job of the form, or show the form again with its errors."""
    answer = Response()
    try:
        job = api.create_job(_request(form), answer, context)
    except DealrecError as error:
        raise_into_page(request, error)
        return _page(request, context, form, error)
    return RedirectResponse(f"/console/jobs/{job.id}", status_code=303)


@router.post("/going-on")
def going_on_part(request: Request, context: ContextDep, form: Posted) -> Response:
    """Show the jobs that a job on the form's data set can go on from."""
    found = going_on(context, form.get("dataset_id", ""), form)
    return render(request, "parts/going_on.html", going_on=found)


@router.post("/options-of")
def options_of_part(request: Request, context: ContextDep, form: Posted) -> Response:
    """Show the options of the job to go on from; what was entered of others stays as it is."""
    earlier = form.get(FROM)
    changed = _rebased(context, form, _options_like(context, earlier)) if earlier else dict(form)
    shown = {**changed, "like": earlier or "", "preset": "" if earlier else form.get("preset", "")}
    return _page(request, context, shown, page="parts/job_options.html")


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


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        raise NotFound.of("preset", name)
    return PRESETS[name]


def _options(context: Context, preset: Preset, dataset_id: str) -> Mapping[str, Any]:
    """The options of a preset; on texts without ids those that such texts have instead."""
    kinds = {dataset.id: dataset.kind for dataset in usable_datasets(context)}
    if kinds.get(dataset_id) is not DataKind.TEXTS:
        return preset.config
    kept = {name: part for name, part in preset.config.items() if name != "evaluation"}
    return {**kept, **OF_TEXTS}


def _with_preset(context: Context, form: Mapping[str, str]) -> dict[str, str]:
    """Return the form at its ``preset``; the values before it were those of ``base`` or of a job.

    The preset decides about the method, the optional parts and what it names itself. Every other value
    that the person has entered stays.
    """
    preset = _preset(form.get("preset", _DEFAULT))
    options = _options(context, preset, form.get("dataset_id", ""))
    rebased = _rebased(context, form, form_of_preset(options), {_METHOD, *form_of(options)})
    return {**rebased, "preset": preset.name, "like": ""}


def _rebased(
    context: Context,
    form: Mapping[str, str],
    options: Mapping[str, str],
    decided: Collection[str] = (),
) -> dict[str, str]:
    """Return ``options`` with what a person has changed in ``form``, but for the ``decided`` fields.

    The values in the form before any change were those of its preset (``base``) or of a job (``like``).
    """
    like, base = form.get("like"), form.get("base")
    earlier = _options(context, _preset(base or _DEFAULT), form.get("dataset_id", ""))
    before = _options_like(context, like) if like else form_of_preset(earlier)
    shown = {field.name: field.value for part in job_form(before) for field in part.fields}
    kept = {
        name: text
        for name, text in form.items()
        if name not in decided
        and not name.startswith("use.")
        and text.replace("\r\n", "\n") != shown.get(name)
    }
    return {**options, **kept}


def _options_like(context: Context, job_id: str) -> dict[str, str]:
    job = api.get_job(job_id, context)
    if job.kind not in SELECTING:
        raise NotFound.of("job with a form", job_id)
    return form_of(job.config)


def _form_like(context: Context, job_id: str) -> dict[str, str]:
    options, job = _options_like(context, job_id), api.get_job(job_id, context)
    continued = form_of_continuation(job)
    return {"dataset_id": job.dataset_id, **_budget_of(job), **continued, **options}


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
    earlier, how = read_continuation(form)
    return JobCreate(
        dataset_id=form.get("dataset_id", ""),
        target=parse_target(f"{form.get('budget', '').rstrip('% ')} %") if target else None,
        budget=None if target else parse_budget(read_budget(form)),
        config=PruneConfig.parse(read_config(form)),
        continue_from=earlier,
        continuation=how,
    )


def _page(
    request: Request,
    context: Context,
    form: Mapping[str, str],
    error: DealrecError | None = None,
    *,
    page: str = "new_job.html",
) -> Response:
    parts = job_form(form, visible(context.tenant_id))
    datasets = usable_datasets(context)
    shown = form.get("dataset_id") or (datasets[0].id if datasets else "")
    return render(
        request,
        page,
        status=200 if error is None else status_of(error),
        datasets=datasets,
        form=form,
        going_on=going_on(context, shown, form),
        parts=parts,
        changed=sum(
            field.value != field.default
            for part in parts
            if part.enabled is not False
            for field in part.fields
        ),
        selector_groups=selector_groups(),
        problem=error and error.to_problem(),
        presets=PRESETS.values(),
        preset=form.get("preset", ""),
        like=form.get("like", ""),
    )
