"""Jobs over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse

from dealrec.app.jobs import service
from dealrec.app.jobs.controls import (
    JobRequest,
    request_cancel,
    request_pause,
    request_resume,
    request_retry,
)
from dealrec.app.jobs.curves import JobMetrics
from dealrec.app.jobs.repository import JobRepository
from dealrec.app.jobs.schemas import Event, Job, JobCreate
from dealrec.app.jobs.stream import follow, news
from dealrec.app.kit.context import ContextDep
from dealrec.app.kit.pagination import Page, PageQuery, PageRequest
from dealrec.app.kit.problems import documented
from dealrec.app.kit.schemas import Cascade
from dealrec.app.kit.text import require_storable
from dealrec.app.naming import Rename
from dealrec.app.removal import removing
from dealrec.app.tables.jobs import JobKind, JobState

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.post("", status_code=202, operation_id="create_job", responses=documented(404, 409))
def create_job(body: JobCreate, response: Response, context: ContextDep) -> Job:
    """Create a job. It waits while its data set is being validated.

    With `continue_from` it continues from an earlier job, usually one on the previous version of the data
    set.
    """
    config = service.decided(context, body.dataset_id, body.config)
    service.require_models_of_job(config, context)
    with context.write() as session:
        job = service.present(session, service.create_job(session, context.tenant_id, body))
        context.keep(session, job, 202, f"/v1/jobs/{job.id}")
    response.headers["location"] = f"/v1/jobs/{job.id}"
    return job


@router.get("", operation_id="list_jobs", responses=documented())
def list_jobs(
    context: ContextDep,
    page: PageQuery,
    state: JobState | None = None,
    dataset_id: Annotated[str | None, Query(max_length=40)] = None,
    kind: JobKind | None = None,
    schedule_id: Annotated[str | None, Query(max_length=40)] = None,
) -> Page[Job]:
    """List all jobs, newest first."""
    require_storable(dataset_id, "dataset_id")
    require_storable(schedule_id, "schedule_id")
    with context.read() as session:
        return service.list_jobs(
            session,
            context.tenant_id,
            page,
            state=state,
            dataset_id=dataset_id,
            kind=kind,
            schedule_id=schedule_id,
        )


@router.get("/{job_id}", operation_id="get_job", responses=documented(404))
def get_job(job_id: str, context: ContextDep) -> Job:
    """Return a job with the current state of its stages."""
    with context.read() as session:
        return service.present(session, JobRepository(session, context.tenant_id).get(job_id))


@router.patch("/{job_id}", operation_id="rename_job", responses=documented(404))
def rename_job(job_id: str, body: Rename, context: ContextDep) -> Job:
    """Give a job another name."""
    with context.write() as session:
        job = JobRepository(session, context.tenant_id).get(job_id, lock=True)
        job.name = body.name
        context.audit(session, "job.rename", job.id)
        return service.present(session, job)


@router.post(
    "/{job_id}/cancel", status_code=202, operation_id="cancel_job", responses=documented(404, 409)
)
def cancel_job(job_id: str, context: ContextDep) -> Job:
    """Cancel a job: at once if no stage is running, otherwise within seconds."""
    return _asked(job_id, context, "cancel", request_cancel)


@router.post(
    "/{job_id}/pause", status_code=202, operation_id="pause_job", responses=documented(404, 409)
)
def pause_job(job_id: str, context: ContextDep) -> Job:
    """Pause a job. A running stage stops within seconds and keeps its last checkpoint."""
    return _asked(job_id, context, "pause", request_pause)


@router.post(
    "/{job_id}/resume", status_code=202, operation_id="resume_job", responses=documented(404, 409)
)
def resume_job(job_id: str, context: ContextDep) -> Job:
    """Continue a paused job."""
    return _asked(job_id, context, "resume", request_resume)


@router.post(
    "/{job_id}/retry", status_code=202, operation_id="retry_job", responses=documented(404, 409)
)
def retry_job(job_id: str, context: ContextDep) -> Job:
    """Retry a failed job. Finished stages are kept."""
    return _asked(job_id, context, "retry", request_retry)


@router.delete(
    "/{job_id}", status_code=204, operation_id="delete_job", responses=documented(404, 409)
)
def delete_job(job_id: str, context: ContextDep, cascade: Cascade = False) -> Response:
    """Delete an ended job with its scores, its coreset and its adapter."""
    with removing(context) as removal:
        row = JobRepository(removal.session, context.tenant_id).get(job_id)
        removal.job(row, cascade=cascade)
    return Response(status_code=204)


@router.get(
    "/{job_id}/events",
    operation_id="list_job_events",
    response_model=Page[Event],
    responses={
        **documented(404),
        200: {"content": {"text/event-stream": {}}},
        204: {"description": "The job has ended and there are no new events"},
    },
)
def list_events(
    job_id: str,
    request: Request,
    context: ContextDep,
    page: PageQuery,
    last_event_id: Annotated[str | None, Header(max_length=100)] = None,
) -> Page[Event] | Response:
    """List the events of a job, oldest first; ``after`` is a sequence number.

    With ``Accept: text/event-stream`` the response is a stream of server-sent events. It starts after
    ``Last-Event-ID`` (or ``after``) and ends when the job ends.
    """
    if "text/event-stream" in request.headers.get("accept", ""):
        after = PageRequest(page.limit, last_event_id or page.after).position() or 0
        events, ended = news(context, job_id, after)
        if ended and not events:
            return Response(status_code=204)  # browsers reconnect after any other answer
        return EventSourceResponse(
            follow(context, job_id, after), headers={"cache-control": "no-store"}
        )
    with context.read() as session:
        repository = JobRepository(session, context.tenant_id)
        return repository.events(repository.get(job_id), page).page(Event.of)


@router.get("/{job_id}/metrics", operation_id="get_job_metrics", responses=documented(404))
def get_metrics(job_id: str, context: ContextDep) -> JobMetrics:
    """Return the curves of a job's stages (losses, learning rates), while it runs and afterwards.

    A stage that was reused has the curves of the run that made its result.
    """
    with context.read() as session:
        repository = JobRepository(session, context.tenant_id)
        job = repository.get(job_id)
        return JobMetrics.of(job.id, repository.stages([job])[job.id])


def _asked(job_id: str, context: ContextDep, verb: str, request: JobRequest) -> Job:
    with context.write() as session:
        job = JobRepository(session, context.tenant_id).get(job_id)
        request(session, job)
        answer = service.present(session, job)
        context.keep(session, answer, 202, f"/v1/jobs/{job_id}", action=verb)
        return answer
