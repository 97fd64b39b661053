"""The schemas of webhooks over HTTP."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints

from dealrec.app.kit.schemas import Body
from dealrec.app.tables.webhooks import DeliveryRow, DeliveryState, WebhookRow
from dealrec.app.webhooks.outbox import ENDS, WebhookEvent

_Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
_Events = Annotated[frozenset[WebhookEvent], Field(min_length=1)]


class WebhookCreate(Body):
    """A request for a webhook."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    """The address to which messages are posted: an ``https`` address on the public internet, or in a
    network that the operator allows."""
    events: _Events = frozenset(ENDS)
    """The kinds of events that are sent; by default the ends of jobs."""
    name: _Name | None = None


class WebhookUpdate(Body):
    """Changes to a webhook. What is left out stays as it is."""

    events: _Events | None = None
    active: bool | None = None
    """Whether the webhook is active. An inactive one gets no new messages; messages that are already
    waiting stay."""
    name: _Name | None = None


class Webhook(BaseModel):
    """A webhook without its secret."""

    id: str
    object: Literal["webhook"] = "webhook"
    name: str | None
    url: str
    events: list[WebhookEvent]
    active: bool
    created_at: datetime

    @classmethod
    def of(cls, row: WebhookRow) -> Self:
        """Make the schema of a row."""
        return cls.model_validate(row, from_attributes=True)


class NewWebhook(Webhook):
    """A webhook with its secret, which is shown only once."""

    secret: str
    """Signs every message (``whsec_…``), as the Standard Webhooks specification says."""


class Delivery(BaseModel):
    """A message to a webhook, and the state of its delivery."""

    id: str
    """The header ``webhook-id``, the same for every attempt."""
    object: Literal["webhook_delivery"] = "webhook_delivery"
    webhook_id: str
    job_id: str | None
    """Null for a message that is not about a job, such as a test message."""
    sequence: int
    event: str
    state: DeliveryState
    attempts: int
    status: int | None
    """The HTTP status of the last response; null if there was none."""
    error: str | None
    """Why the last attempt failed."""
    next_at: datetime | None
    """The time of the next attempt; null if there is none."""
    created_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, row: DeliveryRow) -> Self:
        """Make the schema of a row."""
        delivery = cls.model_validate(row, from_attributes=True)
        waits = row.state == DeliveryState.PENDING
        changes = {"job_id": row.job_id or None, "next_at": row.next_at if waits else None}
        return delivery.model_copy(update=changes)
