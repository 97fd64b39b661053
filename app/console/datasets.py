"""The pages of data sets, and the overview."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from dealrec.app.adapters.endpoints import list_adapters
from dealrec.app.console.data_form import column_fields, data_fields
from dealrec.app.console.help import help_with_dataset
from dealrec.app.console.pages import render
from dealrec.app.console.session import Posted
from dealrec.app.console.status import worker_seen
from dealrec.app.coresets.endpoints import list_coresets
from dealrec.app.datasets import endpoints as api
from dealrec.app.datasets.schemas import Dataset
from dealrec.app.jobs.endpoints import list_jobs
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.pagination import PageQuery, PageRequest
from dealrec.app.tables.datasets import DatasetState
from dealrec.config import Sampling
from dealrec.config.texts import text_selectors

router = APIRouter(include_in_schema=False)
_FEW = PageRequest(5, None)
_MANY = PageRequest(200, None)


@router.get("/")
def overview(request: Request, context: ContextDep) -> Response:
    """Show the latest objects, and the first steps."""
    return render(
        request,
        "overview.html",
        datasets=api.list_datasets(context, _FEW).data,
        jobs=list_jobs(context, _FEW).data,
        coresets=list_coresets(context, _FEW).data,
        adapters=list_adapters(context, PageRequest(1, None)).data,
        names=names(context),
        no_worker=not worker_seen(context),
    )


def names(context: Context) -> dict[str, str]:
    """Return the names of the newest data sets by id."""
    return {dataset.id: dataset.name for dataset in api.list_datasets(context, _MANY).data}


@router.get("/console/datasets")
def list_page(request: Request, context: ContextDep, page: PageQuery) -> Response:
    """Show all data sets, and the form for a new one."""
    return render(
        request,
        "datasets.html",
        datasets=api.list_datasets(context, page),
        fields=data_fields(),
        columns=column_fields(),
        addresses=context.settings.allowed_addresses,
    )


@router.get("/console/datasets/{dataset_id}")
def dataset_page(request: Request, context: ContextDep, dataset_id: str) -> Response:
    """Show one data set with its counts, report, samples and jobs."""
    dataset = api.get_dataset(dataset_id, context)
    asked = dataset.options.asked()
    return render(
        request,
        "dataset.html",
        dataset=dataset,
        jobs=list_jobs(context, _MANY, dataset_id=dataset_id),
        help_text=help_with_dataset(dataset.error.get("code")) if dataset.error else None,
        fields=data_fields(asked),
        columns=column_fields(asked),
        names=_column_names(dataset),
        text_selectors=text_selectors(),
        known=names(context) if dataset.same_content else {},
        versions=api.list_versions(dataset_id, context, _MANY).data,
    )


def _column_names(dataset: Dataset) -> list[str]:
    """The names of the columns in the files of a rejected data set, if they were found."""
    files = (dataset.error or {}).get("files", [])
    return list(dict.fromkeys(name for file in files for name in file["columns"]))


@router.get("/console/datasets/{dataset_id}/live")
def dataset_part(request: Request, context: ContextDep, dataset_id: str) -> Response:
    """Show the progress of the validation; the page reloads once it has ended."""
    dataset = api.get_dataset(dataset_id, context)
    answer = render(
        request, "parts/validation.html", dataset=dataset, text_selectors=text_selectors()
    )
    if dataset.state is not DatasetState.VALIDATING:
        answer.headers["hx-refresh"] = "true"
    return answer


@router.get("/console/datasets/{dataset_id}/shape")
def shape_part(request: Request, context: ContextDep, dataset_id: str) -> Response:
    """Show interactions over time, lengths of histories and popularity."""
    from dealrec.reports.shape import shape_charts

    shape = api.get_shape(dataset_id, context)
    return render(request, "parts/shape.html", shape=shape, charts=shape_charts(shape))


@router.get("/console/datasets/{dataset_id}/samples")
def samples_part(
    request: Request,
    context: ContextDep,
    dataset_id: str,
    after: Annotated[str | None, Query(max_length=100)] = None,
    sampling: Sampling = Sampling.AUTO,
) -> Response:
    """Show a few samples as the language model reads them."""
    samples = api.list_samples(dataset_id, context, PageRequest(10, after), sampling)
    return render(
        request, "parts/texts.html", samples=samples, dataset_id=dataset_id, sampling=sampling
    )


@router.get("/console/datasets/{dataset_id}/delete")
def delete_page(request: Request, context: ContextDep, dataset_id: str) -> Response:
    """Show what a deletion would delete."""
    dataset = api.get_dataset(dataset_id, context)
    jobs = list_jobs(context, _MANY, dataset_id=dataset_id)
    busy = dataset.state is DatasetState.VALIDATING
    return render(request, "delete_dataset.html", dataset=dataset, jobs=jobs, busy=busy)


@router.post("/console/datasets/{dataset_id}/delete")
def delete(context: ContextDep, dataset_id: str, _form: Posted) -> Response:
    """Delete the data set with everything that was listed."""
    api.delete_dataset(dataset_id, context, cascade=True)
    return RedirectResponse("/console/datasets", status_code=303)
