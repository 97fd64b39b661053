"""Messages are written in the transaction of their event: they exist exactly if the event does."""

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from dealrec.app.kit.database import database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.tables.jobs import JobRow
from dealrec.app.tables.webhooks import DeliveryRow, DeliveryState, WebhookRow


class WebhookEvent(StrEnum):
    """The kind of an event that a webhook can be told of; a job's own events have the same names."""

    JOB_QUEUED = "job.queued"
    JOB_RUNNING = "job.running"
    JOB_PAUSED = "job.paused"
    JOB_CANCELLED = "job.cancelled"
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    STAGE_SUCCEEDED = "stage.succeeded"
    STAGE_FAILED = "stage.failed"
    DATASET_READY = "dataset.ready"
    """A data set, or a new version of one, is ready. The message contains its drift."""
    SCHEDULE_FAILED = "schedule.failed"
    """The job of a tick could not be made."""
    SCHEDULE_PAUSED = "schedule.paused"
    """The service paused a schedule, because its data set was deleted with all versions."""


ENDS = (WebhookEvent.JOB_SUCCEEDED, WebhookEvent.JOB_FAILED, WebhookEvent.JOB_CANCELLED)
"""The events that a webhook gets by default."""
PING = "webhook.ping"
_KINDS = frozenset(event.value for event in WebhookEvent)
_ACTIVE = select(WebhookRow.id, WebhookRow.events).where(
    WebhookRow.tenant_id == bindparam("tenant"), WebhookRow.active
)


def write_messages(
    session: Session, job: JobRow, kind: str, stage: str | None, data: Mapping[str, Any]
) -> None:
    """Write a message of the job's latest event for each webhook that is told of such events."""
    facts = {
        "job_id": job.id,
        "kind": job.kind,
        "state": job.state,
        "sequence": job.event_count,
        "dataset_id": job.dataset_id,
        "coreset_id": job.coreset_id,
        "adapter_id": job.adapter_id,
        "metadata": job.job_metadata,
        "schedule_id": job.schedule_id,
        "stage": stage,
        **data,
    }
    tell(session, job.tenant_id, kind, facts, job.id, job.event_count)


def tell(
    session: Session,
    tenant_id: str,
    kind: str,
    facts: Mapping[str, Any],
    job_id: str = "",
    sequence: int = 0,
) -> None:
    """Write a message of an event, which may be of no job, for each webhook that is told of such events."""
    if kind not in _KINDS:
        return
    found = session.execute(_ACTIVE, {"tenant": tenant_id}).all()
    told = [identifier for identifier, events in found if kind in events]
    if not told:
        return
    now = database_now(session)
    for identifier in told:
        session.add(message(tenant_id, identifier, kind, facts, now, job_id, sequence))
    session.flush()


def message(
    tenant_id: str,
    webhook_id: str,
    event: str,
    facts: Mapping[str, Any],
    now: datetime,
    job_id: str = "",
    sequence: int = 0,
) -> DeliveryRow:
    """Make the row of a message with the members that the specification recommends."""
    body = {"type": event, "timestamp": now.isoformat().replace("+00:00", "Z"), "data": dict(facts)}
    return DeliveryRow(
        id=new_id("msg"),
        tenant_id=tenant_id,
        webhook_id=webhook_id,
        job_id=job_id,
        sequence=sequence,
        event=event,
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        state=DeliveryState.PENDING.value,
        attempts=0,
        next_at=now,
        created_at=now,
    )
