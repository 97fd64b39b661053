"""The pages of webhooks, for the tenant's administrators: addresses that are told of events."""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dealrec.app.console.forms import request_of
from dealrec.app.console.pages import raise_into_page, render
from dealrec.app.console.session import Posted
from dealrec.app.kit.context import Context, ContextDep
from dealrec.app.kit.errors import status_of
from dealrec.app.kit.pagination import PageQuery, PageRequest
from dealrec.app.webhooks import endpoints as api
from dealrec.app.webhooks.outbox import ENDS, WebhookEvent
from dealrec.app.webhooks.schemas import NewWebhook, WebhookCreate, WebhookUpdate
from dealrec.errors import DealrecError

router = APIRouter(prefix="/console/webhooks", include_in_schema=False)
_FIRST = PageRequest(50, None)
_EVENT = "event."
_START = {f"{_EVENT}{event.value}": "1" for event in ENDS}


@router.get("")
def list_page(request: Request, context: ContextDep, page: PageQuery) -> Response:
    """Show all webhooks, and the form for a new one."""
    return _list_page(request, context, page, _START)


@router.post("")
def create(request: Request, context: ContextDep, form: Posted) -> Response:
    """Make a webhook, and show its secret this one time."""
    try:
        made = api.create_webhook(_request(form), Response(), context)
    except DealrecError as error:
        raise_into_page(request, error)
        return _list_page(request, context, _FIRST, form, error)
    return _webhook_page(request, context, made.id, made=made)


@router.get("/{webhook_id}")
def webhook_page(
    request: Request, context: ContextDep, webhook_id: str, page: PageQuery
) -> Response:
    """Show a webhook and the messages to it."""
    return _webhook_page(request, context, webhook_id, page)


@router.post("/{webhook_id}/rotate")
def rotate(request: Request, context: ContextDep, webhook_id: str, _form: Posted) -> Response:
    """Give the webhook another secret, and show that this one time."""
    made = api.rotate_webhook(webhook_id, Response(), context)
    return _webhook_page(request, context, webhook_id, made=made)


@router.post("/{webhook_id}/ping")
def ping(context: ContextDep, webhook_id: str, _form: Posted) -> Response:
    """Send a message that tests the webhook."""
    api.ping_webhook(webhook_id, Response(), context)
    return _back(webhook_id)


@router.post("/{webhook_id}/switch")
def switch(context: ContextDep, webhook_id: str, _form: Posted) -> Response:
    """Switch the webhook off, or on again."""
    active = api.get_webhook(webhook_id, context).active
    api.update_webhook(webhook_id, WebhookUpdate(active=not active), context)
    return _back(webhook_id)


@router.post("/{webhook_id}/delete")
def delete(context: ContextDep, webhook_id: str, _form: Posted) -> Response:
    """Delete the webhook with its messages."""
    api.delete_webhook(webhook_id, context)
    return RedirectResponse("/console/webhooks", status_code=303)


@router.post("/{webhook_id}/deliveries/{delivery_id}/redeliver")
def redeliver(context: ContextDep, webhook_id: str, delivery_id: str, _form: Posted) -> Response:
    """Send a message again."""
    api.redeliver(webhook_id, delivery_id, Response(), context)
    return _back(webhook_id)


def _back(webhook_id: str) -> Response:
    return RedirectResponse(f"/console/webhooks/{webhook_id}", status_code=303)


def _request(form: Mapping[str, str]) -> WebhookCreate:
    events = [event.value for event in WebhookEvent if f"{_EVENT}{event.value}" in form]
    asked = {"url": form.get("url", "").strip(), "events": events}
    if name := form.get("name", "").strip():
        asked["name"] = name
    return request_of(WebhookCreate, asked, code="invalid_webhook")


def _list_page(
    request: Request,
    context: Context,
    page: PageRequest,
    form: Mapping[str, str],
    error: DealrecError | None = None,
) -> Response:
    return render(
        request,
        "webhooks.html",
        status=200 if error is None else status_of(error),
        webhooks=api.list_webhooks(context, page),
        events=list(WebhookEvent),
        form=form,
        problem=error and error.to_problem(),
    )


def _webhook_page(
    request: Request,
    context: Context,
    webhook_id: str,
    page: PageRequest = _FIRST,
    made: NewWebhook | None = None,
) -> Response:
    answer = render(
        request,
        "webhook.html",
        webhook=api.get_webhook(webhook_id, context),
        deliveries=api.list_deliveries(webhook_id, context, page),
        made=made,
    )
    if made is not None:
        answer.headers["hx-retarget"] = "body"  # the whole page is new, not a part of the form
        answer.headers["hx-push-url"] = f"/console/webhooks/{webhook_id}"
    return answer
