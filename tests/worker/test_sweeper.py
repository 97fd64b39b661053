"""One sweeper at a time, in every worker, whatever is away."""

import threading

import pytest
from obstore.exceptions import GenericError
from sqlalchemy import select

from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.jobs import WorkerRow
from dealrec.worker.loop import keep_watch
from dealrec.worker.sweeper import _alone, sweep
from tests.worker.processes import until


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_while_one_worker_sweeps_another_does_not(
    database: Database, settings: Settings, storage: Storage
) -> None:
    with _alone(database) as first:
        assert first
        assert sweep(settings, database, storage) is False
    assert sweep(settings, database, storage) is True


class Away(Storage):
    """A store that cannot be reached for the first three times."""

    asked = 0

    def keys(self, prefix: str) -> list[str]:
        self.asked += 1
        if self.asked <= 3:
            raise GenericError("connection refused")
        return super().keys(prefix)


@pytest.fixture
def quick(settings: Settings) -> Settings:
    return settings.model_copy(update={"sweep_seconds": 0.1})


def test_a_worker_sweeps_again_once_the_store_is_back(database: Database, quick: Settings) -> None:
    stopped, store = threading.Event(), Away(quick)
    watch = threading.Thread(
        target=keep_watch,
        args=(quick, database, store, "one:1:a", ["cpu"], stopped, lambda: True),
        daemon=True,
    )
    watch.start()
    until(lambda: store.asked > 4, 20)
    with database.session(write=False) as session:
        assert session.scalars(select(WorkerRow.id)).all() == ["one:1:a"]
    stopped.set()
    watch.join(10)
    assert not watch.is_alive()
