"""Jobs with effort scores through the embedded worker."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import JobRow, ScoreRow
from dealrec.config.runtime import Runtime
from dealrec.pipeline import prune
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model
from tests.worker.makers import TINY, interactions, new_job, upload
from tests.worker.processes import embedded, until

BUDGET = 12


@dataclass
class Service:
    """A service whose jobs use the results of each other, and the same data for the library."""

    settings: Settings
    database: Database
    dataset_id: str
    folder: Path
    model: str

    def run(self, config: dict[str, Any]) -> JobRow:
        with self.database.session() as session:
            dataset = session.get_one(DatasetRow, self.dataset_id)
            job_id = new_job(session, dataset, BUDGET, config).id

        def job() -> JobRow:
            with self.database.session(write=False) as session:
                row = session.get_one(JobRow, job_id)
            assert row.error is None, row.error
            return row

        with embedded(self.settings):
            until(lambda: job().state == "succeeded", 120)
        return job()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    tiny_model().save_pretrained(folder / "tiny")
    byte_tokenizer().save_pretrained(folder / "tiny")
    (folder / "interactions.csv").write_text(interactions())
    settings = Settings(data_dir=folder / "data", poll_seconds=0.05, torch_threads=1)
    database = Database(settings)
    database.migrate()
    dataset_id = upload(database, Storage(settings), folder)
    yield Service(settings, database, dataset_id, folder, str(folder / "tiny"))
    database.dispose()


@pytest.mark.parametrize(("candidates", "measured"), [(None, 60), (2, 24)])
def test_the_worker_measures_and_selects_as_one_process_does(
    service: Service, candidates: int | None, measured: int
) -> None:
    effort = {"model": service.model, "candidates": candidates}
    config = {**TINY, "effort": effort, "selection": {"strata": 5, "effort_weight": 0.5}}
    expected = prune(
        service.folder / "interactions.csv",
        budget=BUDGET,
        out=service.folder / f"out-{measured}",
        work=service.folder / "work",
        config=config,
        runtime=Runtime(threads=1),
    )
    job = service.run(config)
    with service.database.session(write=False) as session:
        assert session.get_one(CoresetRow, job.coreset_id).sha256 == expected.coreset.sha256
        effort_of = select(func.count(ScoreRow.effort)).where(ScoreRow.job_id == job.id)
        assert session.scalar(effort_of) == measured
