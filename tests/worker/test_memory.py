"""Stages whose memory runs out, and how they end."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from sqlalchemy import select

from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import ArtifactRow, EventRow, JobRow, StageRow
from dealrec.worker.claims import claim
from dealrec.worker.runner import Runner
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model
from tests.worker.makers import TINY, new_job, upload

MEBIBYTE = 2**20
SMALL = 64 * MEBIBYTE
"""A limit below the memory that torch takes to start."""


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'data' / 'dealrec.sqlite3'}"


@pytest.fixture
def unhurried(settings: Settings) -> Settings:
    return settings.model_copy(update={"lease_seconds": 60, "heartbeat_seconds": 10})


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    model = tmp_path / "tiny"
    tiny_model().save_pretrained(model)
    byte_tokenizer().save_pretrained(model)
    effort = {"model": str(model), "batch_tokens": 512}
    return {**TINY, "effort": effort, "selection": {"strata": 5, "effort_weight": 0.5}}


class Worker:
    """Runs stages one after the other; ``starved`` runs of the effort have little memory."""

    def __init__(self, settings: Settings, database: Database, storage: Storage) -> None:
        self.settings, self.database, self.storage = settings, database, storage

    def run_all(self, starved: int) -> None:
        little = self.settings.model_copy(update={"stage_memory_bytes": SMALL})
        while (
            taken := claim(self.database, self.settings, "one", queues=["cpu", "gpu"])
        ) is not None:
            limited = taken.name == "effort" and starved > 0
            starved -= limited
            settings = little if limited else self.settings
            Runner(settings, self.database, self.storage, lambda: False).run(taken)

    def effort(self, job: JobRow) -> StageRow:
        with self.database.session(write=False) as session:
            query = select(StageRow).where(StageRow.job_id == job.id, StageRow.name == "effort")
            return session.scalars(query).one()

    def scores(self, job: JobRow) -> np.ndarray[Any, np.dtype[np.float64]]:
        with self.database.session(write=False) as session:
            artifact = session.get_one(ArtifactRow, self.effort(job).artifact_id)
        path = self.storage.fetch_file(f"{artifact.prefix}/effort.parquet", Path())
        scores: np.ndarray[Any, np.dtype[np.float64]] = pq.read_table(
            io.BytesIO(path.read_bytes())
        )["effort"].to_numpy()
        return scores

    def events(self, job: JobRow, kind: str) -> list[dict[str, Any]]:
        with self.database.session(write=False) as session:
            query = select(EventRow.data).where(EventRow.job_id == job.id, EventRow.kind == kind)
            return list(session.scalars(query.order_by(EventRow.sequence)))


@pytest.fixture
def worker(unhurried: Settings, database: Database, storage: Storage) -> Worker:
    return Worker(unhurried, database, storage)


def test_effort_beyond_its_memory_is_measured_in_halves_with_the_same_numbers(
    worker: Worker, tmp_path: Path, config: dict[str, Any]
) -> None:
    dataset_id = upload(worker.database, worker.storage, tmp_path)
    with worker.database.session() as session:
        starved = new_job(session, session.get_one(DatasetRow, dataset_id), 12, config)
    worker.run_all(starved=2)
    stage = worker.effort(starved)
    assert (stage.state, stage.attempt, stage.deaths, stage.kills) == ("succeeded", 3, 2, 2)
    died = worker.events(starved, "stage.died")
    assert [event["code"] for event in died] == ["stage_out_of_memory"] * 2
    assert worker.events(starved, "replanned") == [{"batch_tokens": 128}]

    other = tmp_path / "other"
    settings = worker.settings.model_copy(
        update={"data_dir": other, "database_url": f"sqlite:///{other / 'dealrec.sqlite3'}"}
    )
    settings = Settings.model_validate(settings.model_dump())
    at_ease = Worker(settings, Database(settings), Storage(settings))
    at_ease.database.migrate()
    dataset_id = upload(at_ease.database, at_ease.storage, tmp_path)
    with at_ease.database.session() as session:
        whole = new_job(session, session.get_one(DatasetRow, dataset_id), 12, config)
    at_ease.run_all(starved=0)
    assert at_ease.events(whole, "replanned") == []
    np.testing.assert_allclose(worker.scores(starved), at_ease.scores(whole), rtol=2e-6)
    at_ease.database.dispose()


def test_a_stage_that_never_fits_fails_with_the_limit_in_its_reason(
    worker: Worker, tmp_path: Path, config: dict[str, Any]
) -> None:
    dataset_id = upload(worker.database, worker.storage, tmp_path)
    with worker.database.session() as session:
        job = new_job(session, session.get_one(DatasetRow, dataset_id), 12, config)
    worker.run_all(starved=worker.settings.max_deaths)
    with worker.database.session(write=False) as session:
        row = session.get_one(JobRow, job.id)
    assert row.state == "failed"
    assert row.error is not None
    assert (row.error["code"], row.error["stage"]) == ("stage_out_of_memory", "effort")
    assert "64 MiB" in str(row.error["detail"])
    assert worker.effort(job).attempt == worker.settings.max_deaths


def test_a_score_that_is_no_number_fails_at_once_with_its_own_reason(
    worker: Worker, tmp_path: Path, config: dict[str, Any]
) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.model.norm.weight.fill_(float("inf"))
    model.save_pretrained(config["effort"]["model"])
    dataset_id = upload(worker.database, worker.storage, tmp_path)
    with worker.database.session() as session:
        job = new_job(session, session.get_one(DatasetRow, dataset_id), 12, config)
    worker.run_all(starved=0)
    with worker.database.session(write=False) as session:
        row = session.get_one(JobRow, job.id)
    assert row.error is not None and row.error["code"] == "non_finite_score"
    assert worker.effort(job).attempt == 1
