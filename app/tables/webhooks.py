"""The tables of webhooks: who is told of which events, and what is still to be told."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from dealrec.app.tables.base import Base, BigInt, Id, Json, TenantOwned, UtcDateTime


class DeliveryState(StrEnum):
    """The state of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """Given up after :attr:`~dealrec.app.settings.Settings.webhook_days`."""


class WebhookRow(TenantOwned, Base):
    """An address that is told of events of the tenant's jobs."""

    __tablename__ = "webhooks"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str | None] = mapped_column(String(200))
    url: Mapped[str] = mapped_column(String(2000))
    events: Mapped[list[str]] = mapped_column(Json)
    """The kinds of events that it is told of."""
    active: Mapped[bool]
    secret: Mapped[str] = mapped_column(String(100))
    """The secret that signs messages (``whsec_…``). It is needed for each, so it is not hashed."""
    old_secret: Mapped[str | None] = mapped_column(String(100))
    """The secret before the last rotation, which signs as well until ``old_secret_until``."""
    old_secret_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    owner: Mapped[str | None] = mapped_column(String(200))
    """The worker that delivers to it now; only one does, so that messages stay in order."""
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class DeliveryRow(TenantOwned, Base):
    """A message to a webhook, written in the transaction of its event (an outbox)."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_due", "state", "next_at"),
        Index("ix_webhook_deliveries_order", "webhook_id", "job_id", "sequence"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    """The ``webhook-id`` of the message, the same for all attempts."""
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    job_id: Mapped[str] = mapped_column(Id)
    """Empty for a message that is about no job."""
    sequence: Mapped[int] = mapped_column(BigInt)
    """The sequence number of the event in its job; messages of a job are delivered in this order."""
    event: Mapped[str] = mapped_column(String(60))
    body: Mapped[str] = mapped_column(Text)
    """The JSON text, whose bytes all attempts send."""
    state: Mapped[str] = mapped_column(String(20))
    attempts: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """The time before which no further attempt is made."""
    status: Mapped[int | None]
    """The HTTP status of the last answer; null where none came."""
    error: Mapped[str | None] = mapped_column(String(500))
    """Why the last attempt failed."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
