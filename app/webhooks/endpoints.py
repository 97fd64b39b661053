"""The webhooks of the caller's own tenant over HTTP, for its administrators."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from dealrec.app.kit.context import ContextDep
from dealrec.app.kit.pagination import Page, PageQuery
from dealrec.app.kit.problems import documented
from dealrec.app.tables.webhooks import DeliveryRow, DeliveryState
from dealrec.app.webhooks import service
from dealrec.app.webhooks.repository import DeliveryRepository, WebhookRepository
from dealrec.app.webhooks.schemas import Delivery, NewWebhook, Webhook, WebhookCreate, WebhookUpdate

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


@router.post("", status_code=201, operation_id="create_webhook", responses=documented(409))
def create_webhook(body: WebhookCreate, response: Response, context: ContextDep) -> NewWebhook:
    """Create a webhook. Only this response shows the secret that signs the messages.

    Messages are signed as the Standard Webhooks specification says, delivered at least once, and in order
    for each job. An ``Idempotency-Key`` has no effect here, because the secret is not shown a second
    time.
    """
    service.require_address(context.settings, body.url)
    with context.write() as session:
        row = service.create(session, context.tenant_id, body)
        context.audit(session, "webhook.create", row.id)
    return _with_secret(response, Webhook.of(row), row.secret)


@router.get("", operation_id="list_webhooks", responses=documented())
def list_webhooks(context: ContextDep, page: PageQuery) -> Page[Webhook]:
    """List the webhooks, newest first."""
    with context.read() as session:
        webhooks = WebhookRepository(session, context.tenant_id)
        return webhooks.page(webhooks.query(), page).page(Webhook.of)


@router.get("/{webhook_id}", operation_id="get_webhook", responses=documented(404))
def get_webhook(webhook_id: str, context: ContextDep) -> Webhook:
    """Return a webhook without its secret."""
    with context.read() as session:
        return Webhook.of(WebhookRepository(session, context.tenant_id).get(webhook_id))


@router.patch("/{webhook_id}", operation_id="update_webhook", responses=documented(404))
def update_webhook(webhook_id: str, body: WebhookUpdate, context: ContextDep) -> Webhook:
    """Change a webhook's events or name, or switch it off and on."""
    with context.write() as session:
        row = service.update(session, context.tenant_id, webhook_id, body)
        context.audit(session, "webhook.update", row.id)
    return Webhook.of(row)


@router.delete(
    "/{webhook_id}", status_code=204, operation_id="delete_webhook", responses=documented(404)
)
def delete_webhook(webhook_id: str, context: ContextDep) -> Response:
    """Delete a webhook and all its messages, including those not sent yet."""
    with context.write() as session:
        session.delete(WebhookRepository(session, context.tenant_id).get(webhook_id, lock=True))
        context.audit(session, "webhook.delete", webhook_id)
    return Response(status_code=204)


@router.post("/{webhook_id}/rotate", operation_id="rotate_webhook", responses=documented(404))
def rotate_webhook(webhook_id: str, response: Response, context: ContextDep) -> NewWebhook:
    """Give a webhook a new secret. For 24 hours, messages also carry a signature with the old one."""
    with context.write() as session:
        row = service.rotate(session, context.tenant_id, webhook_id)
        context.audit(session, "webhook.rotate", row.id)
    return _with_secret(response, Webhook.of(row), row.secret)


@router.post(
    "/{webhook_id}/ping",
    status_code=202,
    operation_id="ping_webhook",
    responses=documented(404),
)
def ping_webhook(webhook_id: str, response: Response, context: ContextDep) -> Delivery:
    """Send a message of the type ``webhook.ping``. Its delivery shows whether it arrived."""
    with context.write() as session:
        webhook = WebhookRepository(session, context.tenant_id).get(webhook_id)
        answer = Delivery.of(service.ping(session, webhook))
        context.keep(session, answer, 202, _place(webhook_id), action="ping")
    response.headers["location"] = _place(webhook_id)
    return answer


@router.get("/{webhook_id}/deliveries", operation_id="list_deliveries", responses=documented(404))
def list_deliveries(
    webhook_id: str,
    context: ContextDep,
    page: PageQuery,
    state: Annotated[DeliveryState | None, Query()] = None,
) -> Page[Delivery]:
    """List the messages to a webhook, newest first. Ended ones are kept as long as events are."""
    with context.read() as session:
        WebhookRepository(session, context.tenant_id).get(webhook_id)
        deliveries = DeliveryRepository(session, context.tenant_id, webhook_id)
        query = deliveries.query()
        if state is not None:
            query = query.where(DeliveryRow.state == state.value)
        return deliveries.page(query, page).page(Delivery.of)


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}/redeliver",
    status_code=202,
    operation_id="redeliver",
    responses=documented(404),
)
def redeliver(
    webhook_id: str, delivery_id: str, response: Response, context: ContextDep
) -> Delivery:
    """Send a message again under the same id, as soon as possible."""
    with context.write() as session:
        deliveries = DeliveryRepository(session, context.tenant_id, webhook_id)
        row = deliveries.get(delivery_id, lock=True)
        service.redeliver(session, row)
        answer = Delivery.of(row)
        context.keep(session, answer, 202, _place(webhook_id), action="redeliver")
    response.headers["location"] = _place(webhook_id)
    return answer


def _place(webhook_id: str) -> str:
    return f"/v1/webhooks/{webhook_id}/deliveries"


def _with_secret(response: Response, webhook: Webhook, secret: str) -> NewWebhook:
    response.headers["cache-control"] = "no-store"
    return NewWebhook(**webhook.model_dump(), secret=secret)
