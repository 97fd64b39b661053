"""Creates and changes schedules."""

from sqlalchemy.orm import Session

from dealrec.app.datasets.repository import DatasetRepository
from dealrec.app.kit.database import database_now
from dealrec.app.kit.errors import Conflict
from dealrec.app.kit.ids import new_id
from dealrec.app.quotas.service import require_fewer
from dealrec.app.schedules.repository import ScheduleRepository
from dealrec.app.schedules.schemas import ScheduleCreate, ScheduledJob, ScheduleUpdate
from dealrec.app.schedules.triggers import next_due, trigger_of
from dealrec.app.tables.schedules import ScheduleRow

_MOST = 50
"""The largest number of schedules that a tenant may have."""


def create(session: Session, tenant_id: str, body: ScheduleCreate) -> ScheduleRow:
    """Create a schedule. Only due times and versions from now on count.

    Raises :class:`NotFound`, and :class:`Conflict` (``too_many_schedules``).
    """
    dataset = DatasetRepository(session, tenant_id).get(body.dataset_id)
    schedules = ScheduleRepository(session, tenant_id)
    require_fewer(session, tenant_id, schedules.count, _MOST, "schedules")
    row = ScheduleRow(
        id=new_id("sch"),
        tenant_id=tenant_id,
        name=body.name,
        dataset_id=dataset.id,
        root_id=dataset.root_id or dataset.id,
        trigger=body.trigger.model_dump(mode="json"),
        job=_as_asked(body.job),
        active=True,
        made=0,
        missed=0,
        skipped=0,
        failed=0,
        created_at=database_now(session),
    )
    _count_from_now(schedules, row)
    session.add(row)
    session.flush()
    return row


def update(session: Session, tenant_id: str, identifier: str, body: ScheduleUpdate) -> ScheduleRow:
    """Change the fields that ``body`` gives.

    Raises :class:`NotFound`, and :class:`Conflict` (``dataset_deleted``) if a schedule is resumed whose
    data set was deleted.
    """
    schedules = ScheduleRepository(session, tenant_id)
    row = schedules.get(identifier, lock=True)
    if body.name is not None:
        row.name = body.name
    if body.job is not None:
        row.job = _as_asked(body.job)
    resumed = body.active is True and not row.active
    if resumed and not schedules.any_version(row):
        raise Conflict(
            (
                "All versions of the schedule's data set have been deleted. Create a schedule for another "
                "data set."
            ),
            code="dataset_deleted",
        )
    if body.trigger is not None:
        row.trigger = body.trigger.model_dump(mode="json")
    if body.active is False:
        row.active, row.next_due = False, None
    elif resumed:
        row.active, row.paused = True, None
    if row.active and (resumed or body.trigger is not None):
        _count_from_now(schedules, row)
    session.flush()
    return row


def _count_from_now(schedules: ScheduleRepository, row: ScheduleRow) -> None:
    """Start with the next due time, or with versions that become ready after this moment."""
    now = database_now(schedules.session)
    row.next_due = next(iter(next_due(trigger_of(row.trigger), now)), None)
    newest = next(iter(schedules.ready(row)), None)
    row.seen_version = newest.version if newest is not None else 0
    row.seen_id = newest.id if newest is not None else ""
    row.drift = 0.0


def _as_asked(job: ScheduledJob) -> dict[str, object]:
    return job.model_dump(mode="json", exclude_unset=True)
