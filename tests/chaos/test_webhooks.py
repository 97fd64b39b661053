"""The short form of ``python -m tests.chaos.webhooks``."""

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from dealrec.app.kit.database import Database
from dealrec.app.settings import Settings
from tests.chaos.webhooks import disturbed, signed


def test_ends_of_jobs_are_told_whatever_receiver_and_workers_do(
    settings: Settings, database: Database
) -> None:
    database.dispose()  # processes are forked, and each has connections of its own
    told = disturbed(settings, ends=12, seed=7)
    assert told.messages == 24
    assert told.kills >= 1
    assert told.requests > told.messages
    assert (told.lost, told.unsigned, told.out_of_order) == ([], 0, [])


@pytest.mark.parametrize("age", [0, 3600])
def test_a_signature_is_judged_however_long_ago_the_message_came(age: int) -> None:
    hook = Webhook("whsec_" + "c2VjcmV0IG9mIGEgdGVzdA==")
    made = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=age)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": f"{made.timestamp():.0f}",
        "webhook-signature": hook.sign("msg_1", made, "{}"),
    }
    assert signed(hook, headers, b"{}")
    assert not signed(hook, headers, b"{ }")
    assert not signed(hook, {**headers, "webhook-id": "msg_2"}, b"{}")
