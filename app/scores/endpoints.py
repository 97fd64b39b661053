"""Scores over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from dealrec.app.jobs.repository import JobRepository
from dealrec.app.jobs.service import scores_prefix
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.downloads import download, new_scratch, scratch
from dealrec.app.kit.pagination import Page, PageQuery
from dealrec.app.kit.problems import documented
from dealrec.app.scores import service
from dealrec.app.scores.schemas import Histogram, Score, ScoreFormat, ScoreName
from dealrec.coresets.writer import SCORES

router = APIRouter(prefix="/v1/jobs/{job_id}/scores", tags=["scores"])


@router.get("", operation_id="list_scores", responses=documented(404))
def list_scores(job_id: str, context: ContextDep, page: PageQuery) -> Page[Score]:
    """List the scores of all samples in dense order. There are none before ``select`` has finished."""
    with context.read() as session:
        repository = JobRepository(session, context.tenant_id)
        return repository.scores(repository.get(job_id), page).page(Score.of)


@router.get(
    "/download",
    operation_id="download_scores",
    response_class=Response,
    responses={
        **documented(404, 409, 416),
        200: {"content": {form.media_type: {} for form in ScoreFormat}},
    },
)
def download_scores(
    job_id: str,
    request: Request,
    context: ContextDep,
    format: ScoreFormat = ScoreFormat.PARQUET,  # noqa: A002
) -> Response:
    """Download all scores in one file."""
    key = _scores_key(context, job_id)
    folder = new_scratch(context.settings)
    path = service.write_scores_as(context.storage.fetch_file(key, folder), format, folder)
    return download(request, path, f"{job_id}-scores.{format.value}", format.media_type, folder)


@router.get("/histogram", operation_id="get_score_histogram", responses=documented(404, 409))
def get_histogram(
    job_id: str,
    context: ContextDep,
    score: ScoreName = ScoreName.OVERALL,
    bins: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Histogram:
    """Count a score over all samples, and over the selected ones, in bins."""
    key = _scores_key(context, job_id)
    with scratch(context.settings) as folder:
        return service.histogram(context.storage.fetch_file(key, folder), score, bins)


def _scores_key(context: Context, job_id: str) -> str:
    """Return the storage key of the job's scores; raises :class:`Conflict` (``no_scores``)."""
    with context.read() as session:
        job = JobRepository(session, context.tenant_id).get(job_id)
        return f"{scores_prefix(session, job)}/{SCORES}"
