"""Whether a worker is said to be there, and whether it is."""

import threading
import time
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.jobs import WorkerRow
from dealrec.worker.loop import keep_watch
from tests.chaos.machines import Broker
from tests.chaos.run import free_ports
from tests.worker.processes import celery_worker, until


@pytest.mark.parametrize("consuming", [False, True])
def test_a_worker_is_said_to_be_there_while_it_takes_work(
    consuming: bool, settings: Settings, database: Database, storage: Storage
) -> None:
    stopped = threading.Event()
    watch = threading.Thread(
        target=keep_watch,
        args=(settings, database, storage, "one:1:a", ["gpu"], stopped, lambda: consuming),
    )
    watch.start()
    time.sleep(1.5)
    with database.session(write=False) as session:
        seen = session.scalars(select(WorkerRow.id)).all()
    stopped.set()
    watch.join()
    assert seen == (["one:1:a"] if consuming else [])


def test_a_celery_worker_without_its_broker_is_not_there_until_it_takes_messages_again(
    postgres_url: str, tmp_path: Path
) -> None:
    broker = Broker(*free_ports(1))
    settings = Settings(
        data_dir=tmp_path / "data",
        database_url=postgres_url,
        broker_url=broker.url,
        sweep_seconds=0.5,
    )
    database = Database(settings.model_copy(update={"broker_url": None}))

    def seen() -> datetime | None:
        with database.session(write=False) as session:
            return session.scalars(select(WorkerRow.seen_at)).first()

    with celery_worker(settings, "cpu,gpu"):
        until(lambda: seen() is not None, 40)
        broker.kill()
        last, same = seen(), 0

        def silent() -> bool:
            nonlocal last, same
            now = seen()
            last, same = now, same + 1 if now == last else 0
            return same > 25

        until(silent, 60)
        broker.start()
        until(lambda: seen() != last, 60)
    broker.kill()
    database.dispose()


def test_a_worker_whose_messages_lie_there_ends_itself_but_not_for_a_broker_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dealrec.worker import celery

    monkeypatch.setattr(celery, "_ASK_SECONDS", 0.0)
    monkeypatch.setattr(celery, "_STUCK_SECONDS", 0.3)
    broker, ended = Broker(*free_ports(1)), threading.Event()
    database = Database(Settings(data_dir=tmp_path, broker_url=broker.url))
    watch = celery.Watch(ended.set)
    watch._database, watch._queues = database, ["cpu", "gpu"]

    def ends_within(seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not ended.is_set():
            watch.consuming()
        return ended.is_set()

    assert not ends_within(0.6), "nothing waits"
    broker.kill()
    assert not ends_within(0.6), "the broker is away"
    broker.start()
    broker.client().lpush("gpu", "a message that nobody takes")
    assert not ends_within(0.2), "it may arrive yet"
    assert ends_within(10)
    broker.kill()
    database.dispose()
