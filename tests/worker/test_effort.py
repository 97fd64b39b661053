"""Jobs with effort scores through the embedded worker."""

from pathlib import Path

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


@pytest.mark.parametrize(("candidates", "measured"), [(None, 60), (2, 24)])
def test_the_worker_measures_and_selects_as_one_process_does(
    tmp_path: Path, candidates: int | None, measured: int
) -> None:
    model = tmp_path / "tiny"
    tiny_model().save_pretrained(model)
    byte_tokenizer().save_pretrained(model)
    effort = {"model": str(model), "candidates": candidates}
    config = {**TINY, "effort": effort, "selection": {"strata": 5, "effort_weight": 0.5}}
    (tmp_path / "interactions.csv").write_text(interactions())
    expected = prune(
        tmp_path / "interactions.csv",
        budget=BUDGET,
        out=tmp_path / "out",
        config=config,
        runtime=Runtime(threads=1),
    )

    settings = Settings(data_dir=tmp_path / "data", poll_seconds=0.05, torch_threads=1)
    database, storage = Database(settings), Storage(settings)
    database.migrate()
    dataset_id = upload(database, storage, tmp_path)
    with database.session() as session:
        job = new_job(session, session.get_one(DatasetRow, dataset_id), BUDGET, config)

    def finished() -> bool:
        with database.session(write=False) as session:
            row = session.get_one(JobRow, job.id)
            assert row.error is None, row.error
            return row.state == "succeeded"

    with embedded(settings):
        until(finished, 120)
    with database.session(write=False) as session:
        row = session.get_one(JobRow, job.id)
        assert session.get_one(CoresetRow, row.coreset_id).sha256 == expected.coreset.sha256
        assert session.scalar(select(func.count(ScoreRow.effort))) == measured
    database.dispose()
