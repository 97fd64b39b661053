"""Delivers messages: at least once, those of a job in order, with growing pauses after failures.

Whoever delivers to a webhook holds a lease on it, so two workers never send to one at the same time. A worker
that dies leaves its message pending, and another sends it again once the lease has passed.
"""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import structlog
from sqlalchemy.orm import Session

from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.trail import record
from dealrec.app.settings import Settings
from dealrec.app.tables.audit import Actor
from dealrec.app.tables.webhooks import DeliveryRow, DeliveryState, WebhookRow
from dealrec.app.webhooks import repository
from dealrec.app.webhooks.sending import Attempt, send
from dealrec.app.webhooks.signing import signed_headers

log = structlog.get_logger(__name__)

_LONGEST_PAUSE = 6 * 3600.0
_LEASE_ATTEMPTS = 3.0
"""A lease lasts as long as so many attempts may take; each attempt renews it."""
_FAILURES = 3
"""After so many failures in a row the webhook waits for the next round."""


class Deliverer:
    """Delivers for one worker; rounds may overlap with those of other workers."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        owner: str,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._settings, self._database, self._owner = settings, database, owner
        self._stopping = stopping
        self._threads = ThreadPoolExecutor(settings.webhook_threads, thread_name_prefix="webhook")

    def round(self) -> int:
        """Deliver what is due to every webhook that no other worker has; return how much was delivered."""
        with self._database.session(write=False) as session:
            due = repository.due_webhooks(session)
        return sum(self._threads.map(self._serve, due))

    def close(self) -> None:
        """End after the attempts that are under way."""
        self._threads.shutdown(cancel_futures=True)

    def _serve(self, webhook_id: str) -> int:
        delivered = failures = 0
        while failures < _FAILURES and not self._stopping():
            prepared = self._prepared(webhook_id)
            if prepared is None:
                break
            webhook, delivery, headers = prepared
            attempt = send(
                webhook.url,
                delivery.body.encode(),
                headers,
                allowed=self._settings.webhook_networks,
                seconds=self._settings.webhook_seconds,
            )
            self._settle(delivery.id, attempt)
            delivered += attempt.error is None
            failures = 0 if attempt.error is None else failures + 1
        with self._database.session() as session:
            repository.release(session, webhook_id, self._owner)
        return delivered

    def _prepared(self, webhook_id: str) -> tuple[WebhookRow, DeliveryRow, dict[str, str]] | None:
        """Take or keep the lease; return the next message with its headers, if there is one."""
        lease = _LEASE_ATTEMPTS * self._settings.webhook_seconds
        with self._database.session() as session:
            if not repository.claim(session, webhook_id, self._owner, lease):
                return None
            webhook = session.get(WebhookRow, webhook_id, populate_existing=True)
            if webhook is None or not webhook.active:
                return None
            delivery = repository.next_message(session, webhook_id)
            if delivery is None:
                return None
            now = database_now(session)
            secrets = [webhook.secret]
            if webhook.old_secret and webhook.old_secret_until and webhook.old_secret_until > now:
                secrets.append(webhook.old_secret)
            body = delivery.body.encode()
            return (
                webhook,
                delivery,
                signed_headers(delivery.id, int(now.timestamp()), body, secrets),
            )

    def _settle(self, delivery_id: str, attempt: Attempt) -> None:
        """Record the attempt; end the message if it arrived, or if it is too old to be tried again."""
        with self._database.session() as session:
            delivery = session.get(DeliveryRow, delivery_id, with_for_update=True)
            if delivery is None or delivery.state != DeliveryState.PENDING:
                return  # deleted meanwhile, or sent by another worker after a lost lease
            now = database_now(session)
            delivery.attempts += 1
            delivery.status, delivery.error = attempt.status, attempt.error
            if attempt.error is None:
                self._end(session, delivery, DeliveryState.DELIVERED, "webhook.deliver")
            elif now - delivery.created_at > timedelta(days=self._settings.webhook_days):
                self._end(session, delivery, DeliveryState.FAILED, "webhook.give_up")
            else:
                delivery.next_at = now + timedelta(seconds=self._pause(delivery.attempts))
            if attempt.gone:
                session.get_one(WebhookRow, delivery.webhook_id).active = False
                self._record(session, delivery.tenant_id, "webhook.disable", delivery.webhook_id)
        if attempt.error is not None:
            log.info(
                "webhook not delivered",
                webhook_id=delivery.webhook_id,
                delivery_id=delivery_id,
                attempts=delivery.attempts,
                status=attempt.status,
            )

    def _end(
        self, session: Session, delivery: DeliveryRow, state: DeliveryState, action: str
    ) -> None:
        delivery.state, delivery.ended_at = state.value, database_now(session)
        self._record(session, delivery.tenant_id, action, delivery.id)

    @staticmethod
    def _record(session: Session, tenant_id: str, action: str, object_id: str) -> None:
        record(session, tenant_id, action, object_id, actor=Actor.SERVICE)

    def _pause(self, attempts: int) -> float:
        """The seconds before the next attempt: they double, up to six hours, less up to a half at random."""
        longest = min(_LONGEST_PAUSE, self._settings.webhook_retry_seconds * 2.0 ** (attempts - 1))
        return random.uniform(0.5 * longest, longest)  # noqa: S311 - keeps receivers from bursts
