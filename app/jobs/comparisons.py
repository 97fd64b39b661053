"""Comparisons of selectors over HTTP, and their reports."""

from enum import StrEnum

from fastapi import APIRouter, Request, Response

from dealrec.app.datasets.repository import DatasetRepository
from dealrec.app.jobs import service
from dealrec.app.jobs.repository import JobRepository
from dealrec.app.jobs.schemas import ComparisonCreate, Job
from dealrec.app.kit.context import ContextDep
from dealrec.app.kit.downloads import download, new_scratch
from dealrec.app.kit.problems import documented

router = APIRouter(prefix="/v1", tags=["comparisons"])


class ReportFormat(StrEnum):
    """The formats of a comparison's report."""

    HTML = "html"
    """A self-contained page."""
    JSON = "json"
    PARQUET = "parquet"
    """The figures of every run and every user."""

    @property
    def stored_as(self) -> str:
        """The name of the file in the report's folder."""
        return "users.parquet" if self is ReportFormat.PARQUET else f"report.{self.value}"


_MEDIA_TYPES = {
    ReportFormat.HTML: "text/html",
    ReportFormat.JSON: "application/json",
    ReportFormat.PARQUET: "application/vnd.apache.parquet",
}


@router.post(
    "/comparisons",
    status_code=202,
    operation_id="create_comparison",
    responses=documented(404, 409),
)
def create_comparison(body: ComparisonCreate, response: Response, context: ContextDep) -> Job:
    """Select, train and measure with every selector, and report the differences with intervals.

    The answer is a job of kind ``comparison``. It reuses the scores of earlier jobs.
    """
    comparison = body.comparison()
    service.require_run_count(comparison, context.settings.max_comparison_runs)
    service.require_models_of_comparison(comparison, context)
    with context.write() as session:
        dataset = DatasetRepository(session, context.tenant_id).get(body.dataset_id)
        row = service.add_comparison_job(
            session,
            dataset,
            comparison,
            metadata=body.metadata,
            name=body.name,
        )
        job = service.present(session, row)
        context.keep(session, job, 202, f"/v1/jobs/{job.id}")
    response.headers["location"] = f"/v1/jobs/{job.id}"
    return job


@router.get(
    "/jobs/{job_id}/report",
    operation_id="get_comparison_report",
    response_class=Response,
    responses={
        **documented(404, 416),
        200: {"content": {kind: {} for kind in _MEDIA_TYPES.values()}},
    },
)
def get_report(
    job_id: str,
    request: Request,
    context: ContextDep,
    format: ReportFormat = ReportFormat.HTML,  # noqa: A002
) -> Response:
    """Download a comparison's report as a page, as JSON, or as the figures behind it."""
    with context.read() as session:
        job = JobRepository(session, context.tenant_id).get(job_id)
        key = f"{service.report_prefix(session, job)}/{format.stored_as}"
    folder = new_scratch(context.settings)
    path = context.storage.fetch_file(key, folder)
    name = f"{job_id}-report.{format.value}"
    return download(request, path, name, _MEDIA_TYPES[format], folder)
