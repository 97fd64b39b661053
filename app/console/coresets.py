"""The pages of coresets: members and reasons, other selections, differences, training."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from dealrec.app.console.charts import stored_charts
from dealrec.app.console.datasets import names as dataset_names
from dealrec.app.console.fields import (
    finetune_fields,
    read_budget,
    read_fields,
    read_finetune,
    selection_fields,
)
from dealrec.app.console.jobs import sweep_budgets
from dealrec.app.console.pages import render
from dealrec.app.console.session import Posted
from dealrec.app.coresets import endpoints as api
from dealrec.app.coresets.repository import CoresetRepository
from dealrec.app.coresets.schemas import CoresetCreate
from dealrec.app.coresets.service import scores_key
from dealrec.app.datasets.endpoints import get_dataset
from dealrec.app.datasets.repository import DatasetRepository
from dealrec.app.datasets.schemas import SampleText
from dealrec.app.datasets.service import find_sample, require_ready
from dealrec.app.jobs.endpoints import get_job
from dealrec.app.jobs.repository import JobRepository
from dealrec.app.jobs.schemas import FinetuneJobConfig, Job
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.downloads import scratch
from dealrec.app.kit.pagination import PageQuery, PageRequest
from dealrec.app.models.service import visible
from dealrec.config import PruneConfig, parse_budget
from dealrec.config.selector_groups import selector_groups
from dealrec.coresets.formats import CoresetFormat
from dealrec.reports.scores import strata_charts
from dealrec.selection.interface import StratumUse

router = APIRouter(prefix="/console/coresets", include_in_schema=False)
_MANY = PageRequest(200, None)
_PAGE = 10


@router.get("")
def list_page(request: Request, context: ContextDep, page: PageQuery) -> Response:
    """Show all coresets."""
    coresets, names = api.list_coresets(context, page), dataset_names(context)
    return render(request, "coresets.html", coresets=coresets, names=names)


@router.get("/{coreset_id}")
def coreset_page(
    request: Request,
    context: ContextDep,
    coreset_id: str,
    against: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """Show one coreset, and its differences from another one if requested."""
    coreset = api.get_coreset(coreset_id, context)
    job = get_job(coreset.job_id, context)
    same_job = api.list_coresets(context, _MANY, job_id=coreset.job_id).data
    return render(
        request,
        "coreset.html",
        coreset=coreset,
        dataset=get_dataset(coreset.dataset_id, context),
        against=against,
        others=[other for other in same_job if other.id != coreset_id],
        difference=api.get_diff(coreset_id, context, against) if against else None,
        samples=api.list_samples(coreset_id, context, PageRequest(_PAGE, None)),
        formats=list(CoresetFormat),
        fields=selection_fields(coreset.selection),
        selector_groups=selector_groups(),
        training=finetune_fields(visible(context.tenant_id)),
        budgets=sweep_budgets(coreset.size),
        job_selection=job.config["selection"],
        job_sampling=job.config["sampling"],
    )


@router.get("/{coreset_id}/samples")
def samples_part(
    request: Request,
    context: ContextDep,
    coreset_id: str,
    after: Annotated[str, Query(max_length=100)],
) -> Response:
    """Show the next members."""
    samples = api.list_samples(coreset_id, context, PageRequest(_PAGE, after))
    return render(request, "parts/members.html", samples=samples, coreset_id=coreset_id)


@router.get("/{coreset_id}/plots")
def plots_part(request: Request, context: ContextDep, coreset_id: str) -> Response:
    """Show the charts of the scores and of the coreset's selection."""
    with context.read() as session:
        row = CoresetRepository(session, context.tenant_id).get(coreset_id)
        key, coverage = scores_key(session, row), row.coverage
    strata = [StratumUse(**use) for use in coverage["strata"]]
    charts = stored_charts(context, key)
    return render(request, "parts/plots.html", wide=strata_charts(strata), charts=charts)


@router.get("/{coreset_id}/explanation")
def explanation_part(
    request: Request,
    context: ContextDep,
    coreset_id: str,
    sample_key: Annotated[str, Query(max_length=10_000)],
    text: bool = False,
) -> Response:
    """Explain why a sample is in the coreset, or why not; ``text`` also shows the sample."""
    explanation = api.get_explanation(coreset_id, context, sample_key)
    sample = _sample(context, coreset_id, sample_key) if text else None
    return render(request, "parts/explanation.html", explanation=explanation, sample=sample)


@router.post("/{coreset_id}/reselect")
def reselect(context: ContextDep, coreset_id: str, form: Posted) -> Response:
    """Select again from the same scores, and show the differences, or the job that selects."""
    job_id = api.get_coreset(coreset_id, context).job_id
    selection = read_fields(form, selection_fields({})).get("selection", {})
    body = CoresetCreate.model_validate(
        {"budget": parse_budget(read_budget(form)), "selection": selection}
    )
    made = api.reselect(job_id, body, context)
    if isinstance(made, Job):
        return RedirectResponse(f"/console/jobs/{made.id}", status_code=303)
    return RedirectResponse(f"/console/coresets/{made.id}?against={coreset_id}", status_code=303)


@router.post("/{coreset_id}/finetune")
def finetune(context: ContextDep, coreset_id: str, form: Posted) -> Response:
    """Train an adapter on the coreset, and show its job."""
    config = FinetuneJobConfig.parse(read_finetune(form), location="finetune")
    job = api.create_finetune(coreset_id, config, Response(), context)
    return RedirectResponse(f"/console/jobs/{job.id}", status_code=303)


@router.post("/{coreset_id}/delete")
def delete(context: ContextDep, coreset_id: str, _form: Posted) -> Response:
    """Delete the coreset, and the adapters that were trained on it."""
    job_id = api.get_coreset(coreset_id, context).job_id
    api.delete_coreset(coreset_id, context, cascade=True)
    return RedirectResponse(f"/console/jobs/{job_id}", status_code=303)


def _sample(context: Context, coreset_id: str, sample_key: str) -> SampleText:
    """Return the text of a sample, in the coreset or not, as its job's language model reads it."""
    with context.read() as session:
        coreset = CoresetRepository(session, context.tenant_id).get(coreset_id)
        config = JobRepository(session, context.tenant_id).get(coreset.job_id).config
        datasets = DatasetRepository(session, context.tenant_id)
        prefix = require_ready(datasets.get(coreset.dataset_id))
    with scratch(context.settings) as folder:
        stored = context.storage.fetch_folder(prefix, folder)
        return find_sample(stored, PruneConfig.parse(config), sample_key)
