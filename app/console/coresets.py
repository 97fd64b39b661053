"""The pages of coresets: members and reasons, other selections, differences, training."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, Query, Request
from pydantic import TypeAdapter, ValidationError
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from dealrec.app.console.charts import stored_charts
from dealrec.app.console.datasets import names as dataset_names
from dealrec.app.console.fields import (
    evaluation_fields,
    finetune_fields,
    read_budget,
    read_fields,
    read_finetune,
    selection_fields,
)
from dealrec.app.console.jobs import sweep_budgets
from dealrec.app.console.pages import render, templates
from dealrec.app.console.session import Posted
from dealrec.app.coresets import endpoints as api
from dealrec.app.coresets.browsing import SampleQuery, ScoredSamples, SortBy
from dealrec.app.coresets.exploring import (
    get_map,
    get_neighbours,
    get_verdicts,
    list_scored_samples,
)
from dealrec.app.coresets.repository import CoresetRepository
from dealrec.app.coresets.schemas import CoresetCreate
from dealrec.app.coresets.service import scores_key
from dealrec.app.datasets.endpoints import get_dataset
from dealrec.app.datasets.repository import DatasetRepository
from dealrec.app.datasets.schemas import SampleText
from dealrec.app.datasets.service import find_sample, require_ready
from dealrec.app.estimates.endpoints import create_comparison_estimate
from dealrec.app.jobs.endpoints import get_job
from dealrec.app.jobs.repository import JobRepository
from dealrec.app.jobs.schemas import ComparisonCreate, FinetuneJobConfig, Job
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.downloads import scratch
from dealrec.app.kit.pagination import PageQuery, PageRequest
from dealrec.app.models.service import visible
from dealrec.config import PruneConfig, parse_budget
from dealrec.config.scales import Scale
from dealrec.config.selector_groups import selector_groups
from dealrec.config.wording import field_errors, sentence
from dealrec.coresets.formats import CoresetFormat
from dealrec.errors import DealrecError, InputError
from dealrec.selection.interface import StratumUse

router = APIRouter(prefix="/console/coresets", include_in_schema=False)
_MANY = PageRequest(200, None)
_PAGE = 10
_NEIGHBOURS = 8
_ON_THE_MAP = 1500
_SCORES = ("influence", "effort", "overall")
_QUERY = TypeAdapter(SampleQuery)


class Tab(StrEnum):
    """The parts of a coreset's page."""

    SAMPLES = "samples"
    SCORES = "scores"
    MAP = "map"
    COMPARE = "compare"
    TRAIN = "train"


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
    tab: Tab = Tab.SAMPLES,
    against: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """Show a part of a coreset's page, and its differences from another one if requested."""
    if against:
        tab = Tab.COMPARE
    coreset = api.get_coreset(coreset_id, context)
    job = get_job(coreset.job_id, context)
    same_job = api.list_coresets(context, _MANY, job_id=coreset.job_id).data
    return render(
        request,
        "coreset.html",
        coreset=coreset,
        dataset=get_dataset(coreset.dataset_id, context),
        tab=tab.value,
        tabs=[one.value for one in Tab],
        sorts=list(SortBy),
        asked="selected=true",
        place=f"/console/coresets/{coreset_id}",
        against=against,
        others=[other for other in same_job if other.id != coreset_id],
        difference=api.get_diff(coreset_id, context, against) if against else None,
        samples=_samples(context, coreset_id, SampleQuery(selected=True))
        if tab is Tab.SAMPLES
        else None,
        verdicts=get_verdicts(coreset_id, context).data if tab is Tab.COMPARE else [],
        formats=list(CoresetFormat),
        fields=selection_fields(coreset.selection),
        selector_groups=selector_groups(),
        training=finetune_fields(visible(context.tenant_id)),
        evaluation=evaluation_fields(),
        budgets=sweep_budgets(coreset.size),
        job_selection=job.config["selection"],
        job_sampling=job.config["sampling"],
    )


@router.get("/{coreset_id}/samples")
def samples_part(
    request: Request,
    context: ContextDep,
    coreset_id: str,
    after: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Show the samples that the form of the page asks for, or the next of them."""
    asked = {name: text for name, text in request.query_params.items() if text and name != "after"}
    try:
        query = _QUERY.validate_python(asked)
    except ValidationError as error:
        faults = field_errors(error.errors(), "")
        raise InputError(
            " ".join(map(sentence, faults)), code="invalid_request", errors=faults
        ) from None
    samples = _samples(context, coreset_id, query, after)
    return render(
        request,
        "parts/members.html",
        samples=samples,
        coreset_id=coreset_id,
        asked=urlencode(asked),
    )


@router.get("/{coreset_id}/verdict")
def verdict_part(request: Request, context: ContextDep, coreset_id: str) -> Response:
    """Say whether a comparison found the selection better than random."""
    return render(
        request,
        "parts/verdict.html",
        verdicts=get_verdicts(coreset_id, context).data,
        place=f"/console/coresets/{coreset_id}",
    )


@router.get("/{coreset_id}/comparison-cost")
def comparison_cost_part(context: ContextDep, coreset_id: str) -> Response:
    """Say how long a comparison of the coreset's selection with the controls would take."""
    coreset = api.get_coreset(coreset_id, context)
    body = ComparisonCreate.parse(
        {
            "dataset_id": coreset.dataset_id,
            "budgets": [coreset.size],
            "selectors": [coreset.selection["method"]],
            "scale": Scale.CPU,
        }
    )
    try:
        found = create_comparison_estimate(body, context)
    except DealrecError as error:
        return PlainTextResponse(f"The time cannot be estimated: {error.detail}")
    filters = templates.env.filters
    return PlainTextResponse(
        f"This takes about {filters['duration'](found.seconds)} ({found.trainings} trainings)."
    )


@router.get("/{coreset_id}/plots")
def plots_part(request: Request, context: ContextDep, coreset_id: str) -> Response:
    """Show the charts of the scores and of the coreset's selection."""
    from dealrec.reports.charts import FEW_STRATA
    from dealrec.reports.scores import strata_charts

    with context.read() as session:
        row = CoresetRepository(session, context.tenant_id).get(coreset_id)
        key, coverage = scores_key(session, row), row.coverage
    strata = [StratumUse(**use) for use in coverage["strata"]]
    charts = stored_charts(context, key)
    drawn = strata_charts(strata)
    wide, narrow = (drawn, []) if len(strata) > FEW_STRATA else ([], drawn)
    return render(request, "parts/plots.html", wide=wide, charts=[*narrow, *charts])


@router.get("/{coreset_id}/map")
def map_part(request: Request, context: ContextDep, coreset_id: str) -> Response:
    """Show the samples on a plane, coloured by score or by what was selected."""
    found = get_map(coreset_id, context, _ON_THE_MAP)
    scores = {name: _fifths([getattr(one, name) for one in found.points]) for name in _SCORES}
    return render(
        request,
        "parts/map.html",
        map=found,
        fifths={name: places for name, places in scores.items() if any(places)},
        place=f"/console/coresets/{coreset_id}",
    )


@router.get("/{coreset_id}/neighbours")
def neighbours_part(
    request: Request,
    context: ContextDep,
    coreset_id: str,
    sample_key: Annotated[str, Query(max_length=10_000)],
) -> Response:
    """Show the samples that are most like one."""
    found = get_neighbours(coreset_id, context, sample_key, _NEIGHBOURS)
    return render(request, "parts/neighbours.html", found=found)


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
    return RedirectResponse(
        f"/console/coresets/{made.id}?tab=compare&against={coreset_id}", status_code=303
    )


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


def _samples(
    context: Context, coreset_id: str, query: SampleQuery, after: str | None = None
) -> ScoredSamples:
    return list_scored_samples(coreset_id, context, PageRequest(_PAGE, after), query)


def _fifths(values: Sequence[float | None]) -> list[int]:
    """Give each value the fifth of the values that it is in, from 1; 0 if it is null."""
    known = [value for value in values if value is not None]
    bounds = np.quantile(known or [0.0], [0.2, 0.4, 0.6, 0.8])
    return [0 if one is None else 1 + int(np.searchsorted(bounds, one)) for one in values]


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
