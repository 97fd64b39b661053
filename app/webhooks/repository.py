"""Queries over webhooks and their messages."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Select, delete, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from dealrec.app.kit.database import DatabaseClock, database_now
from dealrec.app.kit.repository import TenantRepository
from dealrec.app.tables.webhooks import DeliveryRow, DeliveryState, WebhookRow


class WebhookRepository(TenantRepository[WebhookRow]):
    """A tenant's webhooks."""

    model = WebhookRow
    noun = "webhook"

    def count(self) -> int:
        """The number of the tenant's webhooks."""
        owned = select(func.count()).where(WebhookRow.tenant_id == self.tenant_id)
        return self.session.scalar(owned) or 0


class DeliveryRepository(TenantRepository[DeliveryRow]):
    """A tenant's messages to one of its webhooks."""

    model = DeliveryRow
    noun = "delivery"

    def __init__(self, session: Session, tenant_id: str, webhook_id: str) -> None:
        super().__init__(session, tenant_id)
        self._webhook_id = webhook_id

    def query(self) -> Select[DeliveryRow]:
        """Select the messages to the webhook."""
        return super().query().where(DeliveryRow.webhook_id == self._webhook_id)


def due_webhooks(session: Session) -> Sequence[str]:
    """The webhooks that nobody delivers to now, and that have a message whose time has come."""
    now = DatabaseClock()
    return session.scalars(
        select(WebhookRow.id)
        .join(DeliveryRow, DeliveryRow.webhook_id == WebhookRow.id)
        .where(
            DeliveryRow.state == DeliveryState.PENDING,
            DeliveryRow.next_at <= now,
            WebhookRow.active,
            or_(WebhookRow.lease_until.is_(None), WebhookRow.lease_until < now),
        )
        .distinct()
        .order_by(WebhookRow.id)
    ).all()


def claim(session: Session, webhook_id: str, owner: str, seconds: float) -> bool:
    """Take the webhook for ``owner``, or keep it; ``False`` if another worker has it."""
    now = DatabaseClock()
    taken = session.execute(
        update(WebhookRow)
        .where(
            WebhookRow.id == webhook_id,
            or_(
                WebhookRow.owner == owner,
                WebhookRow.lease_until.is_(None),
                WebhookRow.lease_until < now,
            ),
        )
        .values(owner=owner, lease_until=DatabaseClock(seconds))
        .returning(WebhookRow.id)
    )
    return taken.first() is not None


def release(session: Session, webhook_id: str, owner: str) -> None:
    """Give the webhook back."""
    session.execute(
        update(WebhookRow)
        .where(WebhookRow.id == webhook_id, WebhookRow.owner == owner)
        .values(owner=None, lease_until=None)
    )


def next_message(session: Session, webhook_id: str) -> DeliveryRow | None:
    """The oldest message whose time has come, of a job without an earlier message that is still to come."""
    earlier = aliased(DeliveryRow)
    waits = (
        select(earlier.id)
        .where(
            earlier.webhook_id == DeliveryRow.webhook_id,
            earlier.job_id == DeliveryRow.job_id,
            earlier.sequence < DeliveryRow.sequence,
            earlier.state == DeliveryState.PENDING,
        )
        .exists()
    )
    return session.scalars(
        select(DeliveryRow)
        .where(
            DeliveryRow.webhook_id == webhook_id,
            DeliveryRow.state == DeliveryState.PENDING,
            DeliveryRow.next_at <= DatabaseClock(),
            ~waits,
        )
        .order_by(DeliveryRow.next_at, DeliveryRow.id)
        .limit(1)
    ).first()


def forget_old(session: Session, *, days: float) -> None:
    """Remove messages that were delivered or given up more than ``days`` ago."""
    before = database_now(session) - timedelta(days=days)
    session.execute(delete(DeliveryRow).where(DeliveryRow.ended_at < before))
