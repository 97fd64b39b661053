import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from dealrec.app.jobs.controls import request_cancel, request_pause
from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import EventRow, JobRow, StageRow
from dealrec.worker import heart
from dealrec.worker.checkpoints import PREFIX
from dealrec.worker.claims import Claim, claim
from dealrec.worker.forks import fork_server
from dealrec.worker.rejection import remove_rejected_files
from dealrec.worker.runner import Runner
from dealrec.worker.sweeper import sweep
from tests.chaos.disk import SmallDisk
from tests.worker.makers import TENANT, TINY, interactions, new_job, upload
from tests.worker.processes import stages_below

ENDLESS = {**TINY, "surrogate": {**TINY["surrogate"], "epochs": 10_000, "patience": 10_000}}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here; the tests of claims cover the differences between the two."""
    return sqlite_url


@pytest.fixture
def run(settings: Settings, database: Database, storage: Storage) -> Callable[[], Claim]:
    """Claims the next stage and runs it to its end."""

    def run_next(stopping: Callable[[], bool] = lambda: False) -> Claim:
        taken = claim(database, settings, "test", queues=["cpu", "gpu"])
        assert taken is not None
        Runner(settings, database, storage, stopping).run(taken)
        return taken

    return run_next


@pytest.fixture
def endless(
    database: Database, storage: Storage, tmp_path: Path, run: Callable[[], Claim]
) -> JobRow:
    """A job whose surrogate would train for hours."""
    dataset_id = upload(database, storage, tmp_path)
    run()
    with database.session() as session:
        return new_job(session, session.get_one(DatasetRow, dataset_id), 10, ENDLESS)


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    before = set(psutil.Process().children(recursive=True))
    yield
    deadline = time.monotonic() + 3
    while left := {
        process
        for process in set(psutil.Process().children(recursive=True)) - before
        if process.pid != fork_server().pid
    }:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def _stage(database: Database, claimed: Claim) -> StageRow:
    with database.session(write=False) as session:
        return session.get_one(StageRow, claimed.stage_id)


def _job(database: Database, job: JobRow) -> JobRow:
    with database.session(write=False) as session:
        return session.get_one(JobRow, job.id)


def _child() -> psutil.Process | None:
    return next(iter(stages_below(psutil.Process())), None)


def _when_training(database: Database, job: JobRow, act: Callable[[], object]) -> threading.Thread:
    """Call ``act`` in a thread once the job's first stage shows progress."""

    def watch() -> None:
        for _ in range(2400):  # a busy machine takes long to start a process
            with database.session(write=False) as session:
                progress = session.scalars(
                    select(StageRow.progress).where(StageRow.job_id == job.id)
                ).first()
            if progress:
                act()
                return
            time.sleep(0.05)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def _kill() -> None:
    child = _child()
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)


def test_an_upload_becomes_a_ready_data_set(
    database: Database, storage: Storage, tmp_path: Path, run: Callable[[], Claim]
) -> None:
    dataset_id = upload(database, storage, tmp_path)
    run()
    with database.session(write=False) as session:
        dataset = session.get_one(DatasetRow, dataset_id)
    assert dataset.state == "ready", dataset.error
    assert dataset.counts is not None and dataset.counts["users"] == 60
    assert sum((dataset.train_lengths or {}).values()) == 60
    assert dataset.prefix is not None and storage.exists(f"{dataset.prefix}/dataset.json")


def test_a_file_that_cannot_be_used_is_rejected_and_stays_for_a_while_to_be_read_again(
    settings: Settings,
    database: Database,
    storage: Storage,
    tmp_path: Path,
    run: Callable[[], Claim],
) -> None:
    dataset_id = upload(database, storage, tmp_path, "user_id,timestamp\na,1\n")
    with database.session() as session:
        job = new_job(session, session.get_one(DatasetRow, dataset_id))
    claimed = run()
    with database.session(write=False) as session:
        dataset = session.get_one(DatasetRow, dataset_id)
    assert dataset.state == "rejected"
    assert dataset.error is not None and "code" in dataset.error
    kept = [path for path in (settings.data_dir / "storage").rglob("*") if path.is_file()]
    assert [path.name for path in kept] == ["interactions"]
    remove_rejected_files(database, storage, hours=1)
    assert kept[0].exists()
    remove_rejected_files(database, storage, hours=0)
    assert not kept[0].exists()
    with database.session(write=False) as session:
        row = session.get_one(DatasetRow, dataset_id)
        assert (row.prefix, row.stored_bytes) == (None, 0)
    assert _stage(database, claimed).attempt == 1
    error = _job(database, job).error
    assert error == {**dataset.error, "stage": "ingest"}


def test_ingest_that_needs_too_much_memory_is_rejected(
    settings: Settings, database: Database, storage: Storage, tmp_path: Path
) -> None:
    content = interactions() + "u1,i1,1000000\n" * 2_000_000
    dataset_id = upload(database, storage, tmp_path, content)
    # The interpreter and Arrow map about as much before the first row.
    small = settings.model_copy(update={"ingest_memory_bytes": 700 * 2**20, "max_deaths": 1})
    taken = claim(database, small, "test", queues=["cpu"])
    assert taken is not None
    Runner(small, database, storage, lambda: False).run(taken)
    with database.session(write=False) as session:
        dataset = session.get_one(DatasetRow, dataset_id)
    assert dataset.state == "rejected"
    assert dataset.error is not None
    assert dataset.error["code"] in ("file_too_expensive", "stage_died")


def test_a_cancel_stops_a_running_stage_within_seconds(
    database: Database, endless: JobRow, run: Callable[[], Claim]
) -> None:
    asked = 0.0

    def cancel() -> None:
        nonlocal asked
        asked = time.monotonic()
        with database.session() as session:
            request_cancel(session, endless)

    thread = _when_training(database, endless, cancel)
    claimed = run()
    thread.join()
    assert 0 < time.monotonic() - asked < 5
    assert _stage(database, claimed).state == "cancelled"
    assert _job(database, endless).state == "cancelled"


def test_a_pause_stops_a_running_stage_within_seconds_and_keeps_its_checkpoint(
    settings: Settings, database: Database, endless: JobRow, run: Callable[[], Claim]
) -> None:
    asked = 0.0

    def pause() -> None:
        nonlocal asked
        asked = time.monotonic()
        with database.session() as session:
            request_pause(session, endless)

    thread = _when_training(database, endless, pause)
    claimed = run()
    thread.join()
    assert 0 < time.monotonic() - asked < 5
    stage = _stage(database, claimed)
    assert (stage.state, stage.attempt, stage.deaths) == ("paused", 0, 0)
    assert _job(database, endless).state == "paused"
    kept = settings.data_dir / "checkpoints" / claimed.stage_id
    assert [path.name for path in kept.rglob("*.pt")] == ["surrogate.pt"]


def test_a_killed_process_is_counted_and_tried_again(
    database: Database, endless: JobRow, run: Callable[[], Claim]
) -> None:
    thread = _when_training(database, endless, _kill)
    claimed = run()
    thread.join()
    stage = _stage(database, claimed)
    assert (stage.state, stage.deaths, stage.lost_leases) == ("queued", 1, 0)
    with database.session(write=False) as session:
        died = session.scalars(
            select(EventRow).where(EventRow.job_id == endless.id, EventRow.kind == "stage.died")
        ).one()
    assert died.data == {"code": "stage_killed", "deaths": 1}
    assert stage.kills == 1


def test_a_shutdown_gives_the_stage_back(
    database: Database, endless: JobRow, run: Callable[..., Claim]
) -> None:
    stopping = threading.Event()
    thread = _when_training(database, endless, stopping.set)
    claimed = run(stopping.is_set)
    thread.join()
    stage = _stage(database, claimed)
    assert (stage.state, stage.attempt, stage.deaths) == ("queued", 0, 0)


def test_a_stopped_process_loses_its_lease_and_is_ended(
    settings: Settings,
    database: Database,
    storage: Storage,
    endless: JobRow,
    run: Callable[[], Claim],
) -> None:
    ended = threading.Event()

    def stop_and_sweep() -> None:
        child = _child()
        assert child is not None
        child.suspend()
        while not ended.wait(0.2):
            sweep(settings, database, storage)

    thread = _when_training(database, endless, stop_and_sweep)
    claimed = run()
    ended.set()
    thread.join()
    stage = _stage(database, claimed)
    assert (stage.state, stage.lost_leases, stage.deaths) == ("queued", 1, 0)


def test_a_result_survives_a_database_that_is_away_when_the_process_ends(
    database: Database,
    storage: Storage,
    tmp_path: Path,
    run: Callable[[], Claim],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset_id = upload(database, storage, tmp_path)
    run()
    with database.session() as session:
        job = new_job(session, session.get_one(DatasetRow, dataset_id), 10, TINY)
    real, failures = heart.Heart.last, iter([True, False])

    def away_at_first(self: heart.Heart) -> None:
        if next(failures):
            with monkeypatch.context() as patch:
                patch.setattr(heart, "beat", _away)
                real(self)
        real(self)

    monkeypatch.setattr(heart.Heart, "last", away_at_first)
    claimed = run()
    stage = _stage(database, claimed)
    assert (stage.state, stage.attempt, stage.deaths) == ("succeeded", 1, 0)
    assert "test_recall@20" in stage.metrics and stage.job_id == job.id


def _away(*_: object, **__: object) -> None:
    raise OperationalError("beat", {}, Exception("the database is away"))


def test_a_stage_succeeds_where_its_checkpoints_find_no_room(
    settings: Settings,
    database: Database,
    storage: Storage,
    tmp_path: Path,
    run: Callable[[], Claim],
) -> None:
    dataset_id = upload(database, storage, tmp_path)
    run()
    with database.session() as session:
        job = new_job(session, session.get_one(DatasetRow, dataset_id), 10, TINY)
    shutil.rmtree(settings.data_dir / PREFIX)
    disk = SmallDisk(settings.data_dir / PREFIX, mebibytes=1)
    if not disk.mounted:
        pytest.skip("a file system cannot be mounted here")
    disk.fill()
    try:
        claimed = run()
    finally:
        disk.remove()
    stage = _stage(database, claimed)
    assert (stage.name, stage.state, stage.attempt) == ("surrogate", "succeeded", 1)
    with database.session(write=False) as session:
        events = session.scalars(select(EventRow).where(EventRow.job_id == job.id)).all()
    told = [event for event in events if event.kind == "checkpoint_not_written"]
    assert [(one.stage, one.data) for one in told] == [
        ("surrogate", {"reason": "No space left on device"})
    ]


def test_nothing_is_left_in_the_working_folder(
    settings: Settings, database: Database, endless: JobRow, run: Callable[[], Claim]
) -> None:
    thread = _when_training(database, endless, _kill)
    run()
    thread.join()
    assert list((settings.data_dir / "work").iterdir()) == []
    stored = [path for path in (settings.data_dir / "storage").rglob("*") if path.is_file()]
    assert not any(f"artifacts/{TENANT}" in str(path) for path in stored)
