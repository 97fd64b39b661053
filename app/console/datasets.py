"""Pages of data sets, and the way in."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from app.console.pages import render
from app.console.session import Posted
from app.datasets import endpoints as api
from app.datasets.models import DatasetState
from app.jobs.endpoints import list_jobs
from app.kit.context import Context, ContextDep
from app.kit.pagination import PageQuery, PageRequest
from dealrec.config import Sampling, SplitMethod

router = APIRouter(include_in_schema=False)
_FEW = PageRequest(5, None)
_MANY = PageRequest(200, None)


@router.get("/")
def overview(request: Request, context: ContextDep) -> Response:
    """What was done last."""
    datasets, jobs = api.list_datasets(context, _FEW), list_jobs(context, _FEW)
    return render(request, "overview.html", datasets=datasets, jobs=jobs, names=names(context))


def names(context: Context) -> dict[str, str]:
    """Of the newest data sets, by id."""
    return {dataset.id: dataset.name for dataset in api.list_datasets(context, _MANY).data}


@router.get("/console/datasets")
def list_page(request: Request, context: ContextDep, page: PageQuery) -> Response:
    """All data sets, and the form for another."""
    found = api.list_datasets(context, page)
    return render(request, "datasets.html", datasets=found, splits=list(SplitMethod))


@router.get("/console/datasets/{dataset_id}")
def dataset_page(request: Request, context: ContextDep, dataset_id: str) -> Response:
    """One data set: its counts, its report, its jobs."""
    dataset = api.get_dataset(dataset_id, context)
    jobs = list_jobs(context, _MANY, dataset_id=dataset_id)
    return render(request, "dataset.html", dataset=dataset, jobs=jobs)


@router.get("/console/datasets/{dataset_id}/live")
def dataset_part(request: Request, context: ContextDep, dataset_id: str) -> Response:
    """The changing part of the page while the data set is validated."""
    return render(request, "parts/dataset.html", dataset=api.get_dataset(dataset_id, context))


@router.get("/console/datasets/{dataset_id}/samples")
def samples_part(
    request: Request,
    context: ContextDep,
    dataset_id: str,
    after: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """A few samples as the language model will read them."""
    samples = api.list_samples(dataset_id, context, PageRequest(10, after), Sampling.PER_USER)
    return render(request, "parts/texts.html", samples=samples, dataset_id=dataset_id)


@router.get("/console/datasets/{dataset_id}/delete")
def delete_page(request: Request, context: ContextDep, dataset_id: str) -> Response:
    """What a deletion would take along."""
    dataset = api.get_dataset(dataset_id, context)
    jobs = list_jobs(context, _MANY, dataset_id=dataset_id)
    busy = dataset.state is DatasetState.VALIDATING
    return render(request, "delete_dataset.html", dataset=dataset, jobs=jobs, busy=busy)


@router.post("/console/datasets/{dataset_id}/delete")
def delete(context: ContextDep, dataset_id: str, _form: Posted) -> Response:
    """Delete the data set with all that was listed."""
    api.delete_dataset(dataset_id, context, cascade=True)
    return RedirectResponse("/console/datasets", status_code=303)
