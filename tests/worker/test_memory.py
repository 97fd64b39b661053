"""Stages whose memory runs out, and how they end."""

import io
from collections.abc import Iterator
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


def effort_of(folder: Path) -> dict[str, Any]:
    """The options of a job whose effort is that of a tiny language model in ``folder``."""
    tiny_model().save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    effort = {"model": str(folder), "batch_tokens": 512}
    return {**TINY, "effort": effort, "selection": {"strata": 5, "effort_weight": 0.5}}


class Worker:
    """Runs stages one after the other; ``starved`` runs of the effort have little memory."""

    def __init__(self, settings: Settings, database: Database, storage: Storage) -> None:
        self.settings, self.database, self.storage = settings, database, storage

    def run(self, dataset_id: str, config: dict[str, Any], starved: int = 0) -> JobRow:
        with self.database.session() as session:
            job = new_job(session, session.get_one(DatasetRow, dataset_id), 12, config)
        little = self.settings.model_copy(update={"stage_memory_bytes": SMALL})
        while (
            taken := claim(self.database, self.settings, "one", queues=["cpu", "gpu"])
        ) is not None:
            limited = taken.name == "effort" and starved > 0
            starved -= limited
            settings = little if limited else self.settings
            Runner(settings, self.database, self.storage, lambda: False).run(taken)
        with self.database.session(write=False) as session:
            return session.get_one(JobRow, job.id)

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


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A worker on data that are scored once: only the effort of each job is its own."""
    folder = tmp_path_factory.mktemp("service")
    settings = Settings(data_dir=folder, lease_seconds=60, torch_threads=1)
    database = Database(settings)
    database.migrate()
    yield Worker(settings, database, Storage(settings))
    database.dispose()


@pytest.fixture(scope="module")
def dataset_id(worker: Worker, tmp_path_factory: pytest.TempPathFactory) -> str:
    return upload(worker.database, worker.storage, tmp_path_factory.mktemp("data"))


def test_effort_beyond_its_memory_is_measured_in_halves_with_the_same_numbers(
    worker: Worker, dataset_id: str, tmp_path: Path
) -> None:
    starved = worker.run(dataset_id, effort_of(tmp_path / "one"), starved=2)
    stage = worker.effort(starved)
    assert (stage.state, stage.attempt, stage.deaths, stage.kills) == ("succeeded", 3, 2, 2)
    died = worker.events(starved, "stage.died")
    assert [event["code"] for event in died] == ["stage_out_of_memory"] * 2
    assert worker.events(starved, "replanned") == [{"batch_tokens": 128}]

    at_ease = worker.run(dataset_id, effort_of(tmp_path / "other"))
    assert not worker.effort(at_ease).reused
    assert worker.events(at_ease, "replanned") == []
    np.testing.assert_allclose(worker.scores(starved), worker.scores(at_ease), rtol=2e-6)


def test_a_stage_that_never_fits_fails_with_the_limit_in_its_reason(
    worker: Worker, dataset_id: str, tmp_path: Path
) -> None:
    job = worker.run(dataset_id, effort_of(tmp_path), starved=worker.settings.max_deaths)
    assert job.state == "failed"
    assert job.error is not None
    assert (job.error["code"], job.error["stage"]) == ("stage_out_of_memory", "effort")
    assert "64 MiB" in str(job.error["detail"])
    assert worker.effort(job).attempt == worker.settings.max_deaths


def test_a_score_that_is_no_number_fails_at_once_with_its_own_reason(
    worker: Worker, dataset_id: str, tmp_path: Path
) -> None:
    config, model = effort_of(tmp_path), tiny_model()
    with torch.no_grad():
        model.model.norm.weight.fill_(float("inf"))
    model.save_pretrained(tmp_path)
    job = worker.run(dataset_id, config)
    assert job.error is not None and job.error["code"] == "non_finite_score"
    assert worker.effort(job).attempt == 1
