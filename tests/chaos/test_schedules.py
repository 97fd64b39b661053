"""The short form of ``python -m tests.chaos.schedules``."""

from dealrec.app.kit.database import Database
from dealrec.app.settings import Settings
from tests.chaos.schedules import disturbed


def test_every_tick_is_made_once_whenever_workers_die(
    settings: Settings, database: Database
) -> None:
    database.dispose()  # processes are forked, and each has connections of its own
    found = disturbed(settings, ticks=6, seed=7)
    assert found.kills >= 1
    assert (found.lost, found.doubled, found.broken) == ([], [], [])
