"""The short form of ``python -m tests.chaos.webhooks``."""

from dealrec.app.kit.database import Database
from dealrec.app.settings import Settings
from tests.chaos.webhooks import disturbed


def test_ends_of_jobs_are_told_whatever_receiver_and_workers_do(
    settings: Settings, database: Database
) -> None:
    database.dispose()  # processes are forked, and each has connections of its own
    told = disturbed(settings, ends=12, seed=7)
    assert told.messages == 24
    assert told.kills >= 1
    assert told.requests > told.messages
    assert (told.lost, told.unsigned, told.out_of_order) == ([], 0, [])
