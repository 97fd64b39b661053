"""The rules of webhooks: creation, changes, rotation of secrets, messages on request."""

from datetime import timedelta

import anyio
from sqlalchemy.orm import Session

from dealrec.app.kit.database import database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.quotas.service import require_fewer
from dealrec.app.settings import Settings
from dealrec.app.tables.webhooks import DeliveryRow, DeliveryState, WebhookRow
from dealrec.app.webhooks.addresses import resolve
from dealrec.app.webhooks.outbox import PING, WebhookEvent, message
from dealrec.app.webhooks.repository import WebhookRepository
from dealrec.app.webhooks.schemas import WebhookCreate, WebhookUpdate
from dealrec.app.webhooks.signing import new_secret

_MOST = 20
"""The most webhooks of a tenant: each event is written once for each."""
_ROTATION_HOURS = 24
_RESOLVE_SECONDS = 10.0


def require_address(settings: Settings, url: str) -> None:
    """Resolve and judge the address now, so that a mistake is told to whoever makes it.

    Every delivery resolves and judges it again.

    Raises:
        InputError: ``invalid_url``, ``address_not_found``, ``address_not_allowed``.
    """

    async def judged() -> None:
        with anyio.move_on_after(_RESOLVE_SECONDS):
            await resolve(url, settings.webhook_networks)

    anyio.run(judged)


def create(session: Session, tenant_id: str, body: WebhookCreate) -> WebhookRow:
    """Create a webhook with a new secret; raises :class:`Conflict` (``too_many_webhooks``)."""
    count = WebhookRepository(session, tenant_id).count
    require_fewer(session, tenant_id, count, _MOST, "webhooks")
    row = WebhookRow(
        id=new_id("wh"),
        tenant_id=tenant_id,
        name=body.name,
        url=body.url,
        events=_ordered(body.events),
        active=True,
        secret=new_secret(),
        created_at=database_now(session),
    )
    session.add(row)
    session.flush()
    return row


def update(session: Session, tenant_id: str, identifier: str, body: WebhookUpdate) -> WebhookRow:
    """Change the fields that are given."""
    row = WebhookRepository(session, tenant_id).get(identifier, lock=True)
    if body.events is not None:
        row.events = _ordered(body.events)
    if body.active is not None:
        row.active = body.active
    if "name" in body.model_fields_set:
        row.name = body.name
    session.flush()
    return row


def rotate(session: Session, tenant_id: str, identifier: str) -> WebhookRow:
    """Give the webhook a new secret; for a day messages are signed with the old one as well."""
    row = WebhookRepository(session, tenant_id).get(identifier, lock=True)
    row.old_secret, row.secret = row.secret, new_secret()
    row.old_secret_until = database_now(session) + timedelta(hours=_ROTATION_HOURS)
    session.flush()
    return row


def ping(session: Session, webhook: WebhookRow) -> DeliveryRow:
    """Write a message that tests the webhook."""
    now = database_now(session)
    row = message(webhook.tenant_id, webhook.id, PING, {"webhook_id": webhook.id}, now)
    session.add(row)
    session.flush()
    return row


def redeliver(session: Session, delivery: DeliveryRow) -> None:
    """Send a message again, as soon as possible; it keeps its id, by which a receiver knows it."""
    delivery.state, delivery.ended_at = DeliveryState.PENDING.value, None
    delivery.next_at = database_now(session)
    session.flush()


def _ordered(events: frozenset[WebhookEvent]) -> list[str]:
    return [event.value for event in WebhookEvent if event in events]
