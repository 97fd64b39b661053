"""Messages arrive at least once, signed, in order for each job, whatever the receiver does."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from dealrec.app.kit.database import Database, database_now
from dealrec.app.settings import Settings
from dealrec.app.stages.transitions import move_job
from dealrec.app.tables.audit import AuditRow
from dealrec.app.tables.jobs import JobRow, JobState
from dealrec.app.tables.webhooks import DeliveryRow, WebhookRow
from dealrec.app.webhooks.delivery import Deliverer
from dealrec.app.webhooks.repository import claim, forget_old
from dealrec.app.webhooks.service import rotate
from tests.app.webhooks.ends import Ends
from tests.app.webhooks.receiver import HANG, Receiver

Deliver = Callable[[], int]


def deliveries(database: Database) -> list[DeliveryRow]:
    with database.session(write=False) as session:
        return list(session.scalars(select(DeliveryRow).order_by(DeliveryRow.sequence)))


def actions(database: Database) -> list[str]:
    with database.session(write=False) as session:
        return list(session.scalars(select(AuditRow.action).order_by(AuditRow.id)))


def test_the_end_of_a_job_is_told_with_a_signature_that_others_verify(
    ends: Ends, deliver: Deliver, receiver: Receiver, database: Database
) -> None:
    webhook, secret = ends.webhook(f"{receiver.url}/hooks")
    job = ends.ended()
    assert deliver() == 1
    assert deliver() == 0
    (headers, body), (row,) = receiver.taken[0], deliveries(database)
    told = Verifier(secret).verify(body, headers)
    assert (told["type"], told["data"]["job_id"]) == ("job.succeeded", job)
    assert (told["data"]["state"], told["data"]["metadata"]) == ("succeeded", {"run": "nightly"})
    assert told["timestamp"].endswith("Z")
    assert headers["webhook-id"] == row.id
    assert (row.state, row.attempts, row.status) == ("delivered", 1, 204)
    assert actions(database) == ["webhook.deliver"]
    with pytest.raises(WebhookVerificationError):
        Verifier(secret).verify(body + b" ", headers)
    with database.session() as session:
        new = rotate(session, "default", webhook).secret
    ends.ended(JobState.FAILED)
    deliver()
    headers, body = receiver.taken[1]
    for either in (secret, new):
        assert Verifier(either).verify(body, headers)["type"] == "job.failed"


def test_a_message_exists_exactly_if_the_event_does(ends: Ends, database: Database) -> None:
    ends.webhook("https://1.1.1.1/", frozenset({"job.running", "job.cancelled"}))
    job = ends.job(ends.dataset())
    with pytest.raises(RuntimeError), database.session() as session:
        move_job(session, session.get_one(JobRow, job), JobState.RUNNING)
        raise RuntimeError
    assert deliveries(database) == []
    ends.move(job, JobState.RUNNING, JobState.CANCELLED)
    told = [json.loads(row.body)["data"] for row in deliveries(database)]
    assert [one["state"] for one in told] == ["running", "cancelled"]
    assert [one["sequence"] for one in told] == [2, 3]


@pytest.mark.parametrize(
    ("answer", "said"), [(500, "500"), (307, "not followed"), (HANG, "no response within 0.5 s")]
)
def test_a_receiver_that_fails_redirects_or_hangs_is_asked_again(
    answer: int,
    said: str,
    ends: Ends,
    deliver: Deliver,
    receiver: Receiver,
    database: Database,
    settings: Settings,
) -> None:
    receiver.answers = [answer]
    settings.webhook_seconds = 0.5 if answer == HANG else 20
    ends.webhook(receiver.url)
    ends.ended()
    assert deliver() == 0
    (row,) = deliveries(database)
    assert (row.state, row.attempts) == ("pending", 1)
    assert said in (row.error or "")
    assert 29 < (row.next_at - row.created_at).total_seconds() < 70
    assert deliver() == 0, "the pause has not passed"
    settings.webhook_seconds = 20
    ends.make_due()
    assert deliver() == 1
    assert receiver.ids == [row.id, row.id]
    assert len({body for _, body in receiver.taken}) == 1


def test_messages_of_a_job_stay_in_order_and_other_jobs_do_not_wait(
    ends: Ends, deliver: Deliver, receiver: Receiver, database: Database
) -> None:
    ends.webhook(receiver.url, frozenset({"job.running", "job.succeeded"}))
    receiver.answers = [503]
    first, second = ends.ended(), ends.ended()
    assert deliver() == 2
    told = [json.loads(body)["data"] for _, body in receiver.taken]
    assert [(one["job_id"], one["state"]) for one in told] == [
        (first, "running"),
        (second, "running"),
        (second, "succeeded"),
    ]
    ends.make_due()
    assert deliver() == 2
    told = [json.loads(body)["data"] for _, body in receiver.taken[3:]]
    assert [(one["job_id"], one["state"]) for one in told] == [
        (first, "running"),
        (first, "succeeded"),
    ]


def test_a_worker_that_dies_leaves_its_message_to_another(
    ends: Ends, deliver: Deliver, receiver: Receiver, database: Database, settings: Settings
) -> None:
    webhook, _ = ends.webhook(receiver.url)
    ends.ended()
    with database.session() as session:
        assert claim(session, webhook, "dead", 60)
    assert deliver() == 0, "the other one may still be sending"
    with database.session() as session:
        past = database_now(session) - timedelta(seconds=1)
        session.execute(update(WebhookRow).values(lease_until=past))
    assert deliver() == 1


def test_two_workers_send_each_message_once(
    ends: Ends, receiver: Receiver, database: Database, settings: Settings
) -> None:
    ends.webhook(receiver.url)
    for _ in range(4):
        ends.ended()
    workers = [Deliverer(settings, database, name) for name in ("a", "b")]
    assert sum(worker.round() for worker in workers) == 4
    assert len(set(receiver.ids)) == len(receiver.ids) == 4
    for worker in workers:
        worker.close()


def test_a_message_is_given_up_after_days_and_kept_in_the_audit_trail(
    ends: Ends, deliver: Deliver, receiver: Receiver, database: Database
) -> None:
    ends.webhook(receiver.url)
    ends.ended()
    receiver.answers = [500]
    with database.session() as session:
        old = database_now(session) - timedelta(days=3, seconds=1)
        session.execute(update(DeliveryRow).values(created_at=old))
    deliver()
    (row,) = deliveries(database)
    assert (row.state, row.attempts) == ("failed", 1)
    assert actions(database) == ["webhook.give_up"]
    with database.session() as session:
        forget_old(session, days=1)
        assert len(list(session.scalars(select(DeliveryRow)))) == 1
        forget_old(session, days=-1)
    assert deliveries(database) == []


def test_a_receiver_that_is_gone_is_told_no_more(
    ends: Ends, deliver: Deliver, receiver: Receiver, database: Database
) -> None:
    ends.webhook(receiver.url)
    receiver.answers = [410]
    ends.ended()
    deliver()
    ends.make_due()
    ends.ended()
    assert deliver() == 0
    assert len(receiver.taken) == 1
    assert actions(database) == ["webhook.disable"]
