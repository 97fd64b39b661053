"""Schedules over HTTP."""

from fastapi import APIRouter, Response

from dealrec.app.datasets.repository import DatasetRepository
from dealrec.app.jobs.schemas import Job
from dealrec.app.jobs.service import decided, present, require_models_of_job
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.pagination import Page, PageQuery
from dealrec.app.kit.problems import documented
from dealrec.app.schedules import service
from dealrec.app.schedules.repository import ScheduleRepository, TickRepository
from dealrec.app.schedules.schemas import (
    Schedule,
    ScheduleCreate,
    ScheduledJob,
    ScheduleTick,
    ScheduleUpdate,
)
from dealrec.app.schedules.ticks import run_now

router = APIRouter(prefix="/v1/schedules", tags=["schedules"])


@router.post("", status_code=201, operation_id="create_schedule", responses=documented(404, 409))
def create_schedule(body: ScheduleCreate, response: Response, context: ContextDep) -> Schedule:
    """Create a schedule, which makes jobs at set times, on new versions of a data set, or when data drift.

    Each tick makes one ordinary job on the newest version that is ready. If several due times have
    passed, the latest makes a job and the others count as missed. A due time is skipped while the job of
    an earlier tick has not ended; a new version waits until it has ended. A schedule belongs to the
    tenant: it continues when the key that created it is revoked.
    """
    _require_models(context, body.dataset_id, body.job)
    with context.write() as session:
        answer = Schedule.of(service.create(session, context.tenant_id, body))
        context.keep(session, answer, 201, f"/v1/schedules/{answer.id}")
    response.headers["location"] = f"/v1/schedules/{answer.id}"
    return answer


@router.get("", operation_id="list_schedules", responses=documented())
def list_schedules(context: ContextDep, page: PageQuery) -> Page[Schedule]:
    """List the schedules, newest first."""
    with context.read() as session:
        schedules = ScheduleRepository(session, context.tenant_id)
        return schedules.page(schedules.query(), page).page(Schedule.of)


@router.get("/{schedule_id}", operation_id="get_schedule", responses=documented(404))
def get_schedule(schedule_id: str, context: ContextDep) -> Schedule:
    """Return a schedule with its next due times and the outcomes of its ticks."""
    with context.read() as session:
        return Schedule.of(ScheduleRepository(session, context.tenant_id).get(schedule_id))


@router.patch("/{schedule_id}", operation_id="update_schedule", responses=documented(404, 409))
def update_schedule(schedule_id: str, body: ScheduleUpdate, context: ContextDep) -> Schedule:
    """Pause or resume a schedule, or change its name, its trigger or its job."""
    if body.job is not None:
        with context.read() as session:
            row = ScheduleRepository(session, context.tenant_id).get(schedule_id)
            there = DatasetRepository(session, context.tenant_id).find(row.dataset_id)
        _require_models(context, None if there is None else there.id, body.job)
    with context.write() as session:
        row = service.update(session, context.tenant_id, schedule_id, body)
        context.audit(session, "schedule.update", row.id)
    return Schedule.of(row)


@router.delete(
    "/{schedule_id}", status_code=204, operation_id="delete_schedule", responses=documented(404)
)
def delete_schedule(schedule_id: str, context: ContextDep) -> Response:
    """Delete a schedule. The jobs that it has made stay."""
    with context.write() as session:
        session.delete(ScheduleRepository(session, context.tenant_id).get(schedule_id, lock=True))
        context.audit(session, "schedule.delete", schedule_id)
    return Response(status_code=204)


@router.post(
    "/{schedule_id}/run",
    status_code=202,
    operation_id="run_schedule",
    responses=documented(404, 409),
)
def run_schedule(schedule_id: str, response: Response, context: ContextDep) -> Job:
    """Make one tick at once, and return its job. The next due time does not change.

    It is refused if the job of an earlier tick has not ended (`job_not_ended`; `job_id` names that job), and
    if the schedule is paused (`schedule_paused`).
    """
    with context.read() as session:
        schedules = ScheduleRepository(session, context.tenant_id)
        row = schedules.get(schedule_id)
        newest = next((one.id for one in schedules.ready(row)), None)
    _require_models(context, newest, ScheduledJob.model_validate(row.job))
    with context.write() as session:
        job = present(session, run_now(session, context.tenant_id, schedule_id))
        context.audit(session, "schedule.run", schedule_id)
        context.keep(session, job, 202, f"/v1/jobs/{job.id}")
    response.headers["location"] = f"/v1/jobs/{job.id}"
    return job


@router.get("/{schedule_id}/ticks", operation_id="list_schedule_ticks", responses=documented(404))
def list_ticks(schedule_id: str, context: ContextDep, page: PageQuery) -> Page[ScheduleTick]:
    """List the ticks with their outcomes, newest first. Ticks are kept as long as events are."""
    with context.read() as session:
        ScheduleRepository(session, context.tenant_id).get(schedule_id)
        ticks = TickRepository(session, context.tenant_id, schedule_id)
        return ticks.page(ticks.query(), page).page(ScheduleTick.of)


def _require_models(context: Context, dataset_id: str | None, job: ScheduledJob) -> None:
    """Check the models now, so that a mistake is reported at once; every tick checks them again."""
    config = job.config if dataset_id is None else decided(context, dataset_id, job.config)
    require_models_of_job(config, context)
