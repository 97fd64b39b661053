"""The pages of schedules: jobs that the service makes by itself."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dealrec.app.console.datasets import names
from dealrec.app.console.fields import read_budget
from dealrec.app.console.forms import request_of
from dealrec.app.console.job_form import usable_datasets
from dealrec.app.console.pages import raise_into_page, render
from dealrec.app.console.presets import PRESETS
from dealrec.app.console.session import Posted
from dealrec.app.jobs.endpoints import get_job
from dealrec.app.jobs.schemas import Job
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.errors import status_of
from dealrec.app.kit.pagination import PageQuery, PageRequest
from dealrec.app.schedules import endpoints as api
from dealrec.app.schedules.schemas import ScheduleCreate, ScheduleUpdate
from dealrec.app.schedules.triggers import DriftMeasure
from dealrec.app.tables.jobs import JobKind
from dealrec.config import parse_budget
from dealrec.errors import DealrecError

router = APIRouter(prefix="/console/schedules", include_in_schema=False)
_FIRST = PageRequest(50, None)
_START = {
    "kind": "cron",
    "cron": "30 3 * * *",
    "time_zone": "UTC",
    "budget": "2",
    "budget_unit": "percent",
}


@router.get("")
def list_page(request: Request, context: ContextDep, page: PageQuery, like: str = "") -> Response:
    """Show all schedules, and the form for a new one; ``like`` is a job whose options it takes."""
    job = _job_of(context, like)
    of_job = {} if job is None else {"like": job.id, "name": job.name, "dataset_id": job.dataset_id}
    return _list_page(request, context, page, {**_START, **of_job})


@router.post("")
def create(request: Request, context: ContextDep, form: Posted) -> Response:
    """Make the schedule of the form, or show the form again with its errors."""
    try:
        made = api.create_schedule(_request(context, form), Response(), context)
    except DealrecError as error:
        raise_into_page(request, error)
        return _list_page(request, context, _FIRST, form, error)
    return _to(made.id)


@router.get("/{schedule_id}")
def schedule_page(
    request: Request, context: ContextDep, schedule_id: str, page: PageQuery
) -> Response:
    """Show a schedule and its ticks."""
    return render(
        request,
        "schedule.html",
        schedule=api.get_schedule(schedule_id, context),
        ticks=api.list_ticks(schedule_id, context, page),
        known=names(context),
    )


@router.post("/{schedule_id}/switch")
def switch(context: ContextDep, schedule_id: str, _form: Posted) -> Response:
    """Pause the schedule, or let it go on."""
    active = api.get_schedule(schedule_id, context).active
    api.update_schedule(schedule_id, ScheduleUpdate(active=not active), context)
    return _to(schedule_id)


@router.post("/{schedule_id}/run")
def run(context: ContextDep, schedule_id: str, _form: Posted) -> Response:
    """Make one tick at once, and show its job."""
    job = api.run_schedule(schedule_id, Response(), context)
    return RedirectResponse(f"/console/jobs/{job.id}", status_code=303)


@router.post("/{schedule_id}/delete")
def delete(context: ContextDep, schedule_id: str, _form: Posted) -> Response:
    """Delete the schedule; its jobs stay."""
    api.delete_schedule(schedule_id, context)
    return RedirectResponse("/console/schedules", status_code=303)


def _to(schedule_id: str) -> Response:
    return RedirectResponse(f"/console/schedules/{schedule_id}", status_code=303)


def _job_of(context: Context, identifier: str) -> Job | None:
    """The job whose options a form takes; ``None`` where it names none that makes a coreset."""
    if not identifier:
        return None
    job = get_job(identifier, context)
    return job if job.kind is JobKind.PRUNE else None


def _request(context: Context, form: Mapping[str, str]) -> ScheduleCreate:
    job = _job_of(context, form.get("like", ""))
    preset = PRESETS.get(form.get("preset", ""), PRESETS["default"])
    asked = {
        "name": form.get("name", ""),
        "dataset_id": form.get("dataset_id", ""),
        "trigger": _trigger(form),
        "job": {
            "budget": parse_budget(read_budget(form)),
            "config": dict(preset.config) if job is None else job.config,
            "continue_last": "continue_last" in form,
        },
    }
    return request_of(ScheduleCreate, asked, code="invalid_schedule")


def _trigger(form: Mapping[str, str]) -> dict[str, Any]:
    match form.get("kind"):
        case "cron":
            zone = form.get("time_zone", "").strip() or "UTC"
            return {"kind": "cron", "cron": form.get("cron", ""), "time_zone": zone}
        case "drift":
            measure = form.get("measure", DriftMeasure.POPULARITY.value)
            return {"kind": "drift", "measure": measure, "above": form.get("above", "")}
        case _:
            return {"kind": "on_version"}


def _list_page(
    request: Request,
    context: Context,
    page: PageRequest,
    form: Mapping[str, str],
    error: DealrecError | None = None,
) -> Response:
    return render(
        request,
        "schedules.html",
        status=200 if error is None else status_of(error),
        schedules=api.list_schedules(context, page),
        datasets=usable_datasets(context),
        known=names(context),
        presets=PRESETS.values(),
        measures=list(DriftMeasure),
        form=form,
        problem=error and error.to_problem(),
    )
