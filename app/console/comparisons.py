"""The pages of comparisons: the form and the report."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dealrec.app.console.fields import FormPart, job_form, read_config
from dealrec.app.console.job_form import usable_datasets
from dealrec.app.console.pages import raise_into_page, render
from dealrec.app.console.session import Posted
from dealrec.app.estimates.endpoints import create_comparison_estimate
from dealrec.app.jobs.comparisons import ReportFormat, create_comparison
from dealrec.app.jobs.repository import JobRepository
from dealrec.app.jobs.schemas import ComparisonCreate
from dealrec.app.jobs.service import report_prefix
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.downloads import scratch
from dealrec.app.kit.errors import status_of
from dealrec.app.models.service import visible
from dealrec.config import ComparisonConfig
from dealrec.config.comparison import CONTROLS
from dealrec.config.language_models import DEFAULT_MODEL
from dealrec.config.scales import FINETUNE, Scale
from dealrec.config.selector_groups import selector_groups
from dealrec.config.selectors import SELECTORS
from dealrec.errors import DealrecError

router = APIRouter(prefix="/console", include_in_schema=False)
_SHARED = frozenset({"", "prompt", "surrogate", "influence", "effort", "selection"})
_PICKED = "selector."
_NUMBERS = ("seeds", "smallest_effect", "full_data_runs")
_START = {
    "budgets": "2%, 5%",
    **{name: str(ComparisonConfig.model_fields[name].default) for name in _NUMBERS[:2]},
    "scale": Scale.CPU.value,
    "model": DEFAULT_MODEL,
    **{f"{_PICKED}{one.method}": "1" for one in ComparisonConfig.parse({"budgets": [1]}).selectors},
}
_FRAMED = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
)
"""The policy for a report: it shows texts from outside, so it may run and load nothing."""


@router.get("/comparisons/new")
def new_page(
    request: Request,
    context: ContextDep,
    dataset_id: str = "",
    budgets: str = "",
    selector: str = "",
) -> Response:
    """Show the form for a comparison, with what is to be compared if a link says so."""
    form = {**_START, "dataset_id": dataset_id, "budgets": budgets or _START["budgets"]}
    if selector in map(str, SELECTORS):
        form = {name: text for name, text in form.items() if not name.startswith(_PICKED)}
        form[f"{_PICKED}{selector}"] = "1"
    return _page(request, context, form)


@router.post("/comparisons")
def create(request: Request, context: ContextDep, form: Posted) -> Response:
    """Start the comparison of the form, or show the form again with its errors."""
    try:
        job = create_comparison(_request(form), Response(), context)
    except DealrecError as error:
        raise_into_page(request, error)
        return _page(request, context, form, error)
    return RedirectResponse(f"/console/jobs/{job.id}", status_code=303)


@router.post("/comparisons/estimate")
def estimate_part(request: Request, context: ContextDep, form: Posted) -> Response:
    """Show the estimated cost of the form's comparison, or the form's errors."""
    try:
        found, problem = create_comparison_estimate(_request(form), context), None
    except DealrecError as error:
        found, problem = None, error.to_problem()
    return render(request, "parts/estimate.html", estimate=found, problem=problem)


@router.get("/jobs/{job_id}/report")
def report_page(context: ContextDep, job_id: str) -> Response:
    """Show the report as a page; the API serves it as a file."""
    with context.read() as session:
        job = JobRepository(session, context.tenant_id).get(job_id)
        key = f"{report_prefix(session, job)}/{ReportFormat.HTML.stored_as}"
    with scratch(context.settings) as folder:
        page = context.storage.fetch_file(key, folder).read_bytes()
    return Response(page, media_type="text/html", headers={"content-security-policy": _FRAMED})


def _request(form: Mapping[str, str]) -> ComparisonCreate:
    model, scale = form.get("model", DEFAULT_MODEL), form.get("scale", "")
    config = read_config({**form, "use.effort": "1", "effort.model": model})
    trained = FINETUNE.get(Scale(scale)) if scale in list(Scale) else None
    if trained is not None:
        config["finetune"] = trained.model_copy(update={"model": model}).model_dump(mode="json")
    most = form.get("full_data_samples", "").strip()
    budgets = _budgets(form.get("budgets", ""))
    chosen = [name for name in map(str, SELECTORS) if f"{_PICKED}{name}" in form]
    return ComparisonCreate.parse(
        {
            "dataset_id": form.get("dataset_id", ""),
            "budgets": budgets,
            "selectors": chosen if budgets else [],
            "curve": _budgets(form.get("curve", "")),
            **{name: form[name] for name in _NUMBERS if form.get(name, "").strip()},
            **({"full_data_samples": _budget(most)} if most else {}),
            "despite_no_headroom": "despite_no_headroom" in form,
            "scale": scale,
            "config": config,
        }
    )


def _budgets(text: str) -> list[Any]:
    return [_budget(part) for part in text.split(",")] if text.strip() else []


def _budget(text: str) -> Any:
    """Parse ``256``, ``0.05`` or ``5%``; other texts stay as they are for validation."""
    text = text.strip()
    try:
        if text.endswith("%"):
            return float(f"{float(text[:-1]) / 100:.12g}")
        return float(text)
    except ValueError:
        return text


def _shared(form: Mapping[str, str], tenant_id: str) -> list[FormPart]:
    """Return the parts of the form that all selectors share."""
    parts = job_form({**form, "use.effort": "1"}, visible(tenant_id))
    return [part for part in parts if part.name in _SHARED]


def _page(
    request: Request,
    context: Context,
    form: Mapping[str, str],
    error: DealrecError | None = None,
) -> Response:
    return render(
        request,
        "new_comparison.html",
        status=200 if error is None else status_of(error),
        datasets=usable_datasets(context),
        form=form,
        parts=_shared(form, context.tenant_id),
        selector_groups=selector_groups(),
        controls=CONTROLS,
        scales=list(Scale),
        models=list(visible(context.tenant_id)),
        problem=error and error.to_problem(),
    )
