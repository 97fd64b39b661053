"""The same job through the embedded loop, through Celery, and without a server."""

import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from dealrec.app.jobs.lifecycle import stages_of
from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.stages.wakeups import wake
from dealrec.app.stages.workers import seen_lately
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import ArtifactRow, JobRow, ScoreRow, StageRow, WorkerRow
from dealrec.pipeline import prune
from tests.worker.makers import TINY, interactions, new_job, upload
from tests.worker.processes import celery_worker, embedded, until

BUDGET = 12


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The hash of the same job in one process."""
    from dealrec.config.runtime import Runtime

    folder = tmp_path_factory.mktemp("prune")
    (folder / "interactions.csv").write_text(interactions())
    result = prune(
        folder / "interactions.csv",
        budget=BUDGET,
        out=folder / "out",
        config=TINY,
        runtime=Runtime(threads=1),
    )
    return result.coreset.sha256


def _submit(database: Database, storage: Storage, folder: Path) -> JobRow:
    """Upload and job at once: the job waits for its data set."""
    dataset_id = upload(database, storage, folder)
    with database.session() as session:
        return new_job(session, session.get_one(DatasetRow, dataset_id), BUDGET)


def _finished(database: Database, job: JobRow) -> bool:
    with database.session(write=False) as session:
        row = session.get_one(JobRow, job.id)
        assert row.error is None, row.error
        return row.state == "succeeded"


def _check(database: Database, storage: Storage, job: JobRow, sha256: str) -> None:
    with database.session(write=False) as session:
        row = session.get_one(JobRow, job.id)
        coreset = session.get_one(CoresetRow, row.coreset_id)
        scores = session.scalar(select(func.count()).where(ScoreRow.job_id == job.id))
        selected = session.scalar(
            select(func.count()).where(ScoreRow.job_id == job.id, ScoreRow.selected)
        )
        surrogate = stages_of(session, row)[0]
    assert coreset.sha256 == sha256
    assert (coreset.size, selected, scores) == (BUDGET, BUDGET, 60)
    assert "test_recall@20" in surrogate.metrics
    assert storage.exists(f"{coreset.prefix}/members.parquet")
    assert storage.exists(f"{coreset.prefix}/manifest.json")


@pytest.fixture
def sqlite_settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", poll_seconds=0.05, torch_threads=1)


def test_the_embedded_worker_runs_a_job_and_reuses_it(
    sqlite_settings: Settings, tmp_path: Path, expected: str
) -> None:
    database, storage = Database(sqlite_settings), Storage(sqlite_settings)
    database.migrate()
    job = _submit(database, storage, tmp_path)
    with embedded(sqlite_settings) as process:
        until(lambda: _finished(database, job), 60)
        _check(database, storage, job, expected)
        with database.session(write=False) as session:
            assert seen_lately(session, 30)
        with database.session() as session:
            again = new_job(session, session.get_one(DatasetRow, job.dataset_id), BUDGET)
        until(lambda: _finished(database, again), 10)
        _check(database, storage, again, expected)
        with database.session(write=False) as session:
            assert all(stage.reused for stage in stages_of(session, again))
            assert session.scalar(select(func.count()).select_from(ArtifactRow)) == 3
    assert process.returncode == 0
    with database.session(write=False) as session:
        assert session.scalars(select(WorkerRow)).all() == []
    database.dispose()


@pytest.fixture
def celery_settings(postgres_url: str, broker_url: str, tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        database_url=postgres_url,
        broker_url=broker_url,
        sweep_seconds=2,
        torch_threads=1,
    )


def test_two_celery_workers_on_postgresql_give_the_same_coreset(
    celery_settings: Settings, tmp_path: Path, expected: str
) -> None:
    database, storage = Database(celery_settings), Storage(celery_settings)
    jobs = [_submit(database, storage, tmp_path) for _ in range(2)]
    with (
        celery_worker(celery_settings, "cpu,gpu") as one,
        celery_worker(celery_settings, "cpu,gpu") as two,
    ):
        until(lambda: all(_finished(database, job) for job in jobs), 100)
        for job in jobs:
            _check(database, storage, job, expected)
        _repeat_and_lose_messages(database, storage, tmp_path)
    for worker in (one, two):
        assert worker.returncode == 0
    database.dispose()


def _repeat_and_lose_messages(database: Database, storage: Storage, tmp_path: Path) -> None:
    """A message that never arrived is sent again by the sweeper; a repeated one does nothing."""
    dispatcher: Any = database.dispatcher
    assert dispatcher is not None
    silent = Database(Settings(database_url=database.url))
    job = _submit(silent, storage, tmp_path)
    silent.dispose()
    until(lambda: _finished(database, job), 60)
    with database.session() as session:
        row = session.get_one(JobRow, job.id)
        before = [(stage.id, stage.fence) for stage in stages_of(session, row)]
        for stage in stages_of(session, row):
            wake(session, stage)
    until(lambda: dispatcher.depth("gpu") == dispatcher.depth("cpu") == 0, 20)
    with database.session(write=False) as session:
        row = session.get_one(JobRow, job.id)
        assert [(stage.id, stage.fence) for stage in stages_of(session, row)] == before


def test_a_broker_that_is_down_costs_a_commit_nothing(postgres_url: str, tmp_path: Path) -> None:
    settings = Settings(
        data_dir=tmp_path / "data",
        database_url=postgres_url,
        broker_url="redis://127.0.0.1:1/0",
    )
    database, storage = Database(settings), Storage(settings)
    begun = time.monotonic()
    _submit(database, storage, tmp_path)
    assert time.monotonic() - begun < 1
    database.dispose()


def test_a_celery_worker_that_shuts_down_gives_its_stage_back(
    celery_settings: Settings, tmp_path: Path
) -> None:
    database, storage = Database(celery_settings), Storage(celery_settings)
    dataset_id = upload(database, storage, tmp_path)
    endless = {**TINY, "surrogate": {**TINY["surrogate"], "epochs": 10_000, "patience": 10_000}}
    with database.session() as session:
        job = new_job(session, session.get_one(DatasetRow, dataset_id), BUDGET, endless)

    def surrogate() -> StageRow:
        with database.session(write=False) as session:
            return stages_of(session, session.get_one(JobRow, job.id))[0]

    with celery_worker(celery_settings, "cpu,gpu") as worker:
        until(lambda: surrogate().progress is not None, 40)
        begun = time.monotonic()
        worker.terminate()
        worker.wait(20)
        assert time.monotonic() - begun < 15
    stage = surrogate()
    assert (stage.state, stage.attempt, stage.deaths) == ("queued", 0, 0)
    database.dispose()
