"""Webhooks: addresses that are notified of events, and the messages to them."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

from dealrec.client.binding import operation, sequence
from dealrec.client.exchange import ask, creating, delete, without_none
from dealrec.client.lists import listed
from dealrec.client.records import Area, M, Record, Remote
from dealrec.client.transport import Request


class Delivery(Record):
    """A message to a webhook, and the state of its delivery."""

    id: str
    """The header ``webhook-id``, the same for every attempt."""
    object: str
    webhook_id: str
    job_id: str | None = None
    sequence: int
    event: str
    state: str
    """``pending``, ``delivered`` or ``failed``."""
    attempts: int
    status: int | None = None
    """The HTTP status of the last response."""
    error: str | None = None
    """Why the last attempt failed."""
    next_at: datetime | None = None
    created_at: datetime
    ended_at: datetime | None = None


class Webhook(Remote[M]):
    """An address that is notified of events."""

    place = "/v1/webhooks"
    name: str | None = None
    url: str
    events: list[str]
    active: bool
    created_at: datetime

    @operation
    async def update(
        self,
        *,
        events: Sequence[str] | None = None,
        active: bool | None = None,
        name: str | None = None,
    ) -> "Webhook[M]":
        """Change the webhook's events or name, or switch it off and on."""
        body = without_none({"events": events, "active": active, "name": name})
        answer = await ask(self.transport, Request("PATCH", self.path, json=body))
        return Webhook[M].received(self.transport, answer.json())

    @operation
    async def rotate(self) -> "NewWebhook[M]":
        """Give the webhook a new secret. For 24 hours, messages are signed with the old one as well."""
        answer = await ask(self.transport, creating(f"{self.path}/rotate"))
        return NewWebhook[M].received(self.transport, answer.json())

    @operation
    async def ping(self) -> Delivery:
        """Send a message of the type ``webhook.ping``."""
        answer = await ask(self.transport, creating(f"{self.path}/ping"))
        return Delivery.model_validate(answer.json())

    @sequence
    async def deliveries(self, state: str | None = None) -> AsyncIterator[Delivery]:
        """Iterate over the messages to the webhook, newest first."""
        async for entry in listed(self.transport, f"{self.path}/deliveries", {"state": state}):
            yield Delivery.model_validate(entry)

    @operation
    async def redeliver(self, delivery_id: str) -> Delivery:
        """Send a message again under the same id."""
        path = f"{self.path}/deliveries/{delivery_id}/redeliver"
        return Delivery.model_validate((await ask(self.transport, creating(path))).json())

    @operation
    async def delete(self) -> None:
        """Delete it with its messages."""
        await delete(self.transport, self.path)


class NewWebhook(Webhook[M]):
    """A webhook with its secret, which is shown only once."""

    secret: str
    """Signs every message (``whsec_…``)."""


class Webhooks(Area[M]):
    """The webhooks of the key's tenant; the key must be an administrator's."""

    @operation
    async def create(
        self, url: str, *, events: Sequence[str] | None = None, name: str | None = None
    ) -> NewWebhook[M]:
        """Tell ``url`` of ``events``, by default of the ends of jobs; the answer has the ``secret``."""
        body: dict[str, Any] = without_none({"url": url, "events": events, "name": name})
        answer = await ask(self.transport, creating("/v1/webhooks", body))
        return NewWebhook[M].received(self.transport, answer.json())

    @operation
    async def get(self, identifier: str) -> Webhook[M]:
        """Fetch one webhook, without its secret."""
        return await Webhook[M].fetched(self.transport, identifier)

    @sequence
    async def list(self) -> AsyncIterator[Webhook[M]]:
        """List all webhooks, newest first."""
        async for webhook in Webhook[M].listed(self.transport):
            yield webhook
