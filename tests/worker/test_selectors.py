"""Selectors that look at more than scores, through the embedded worker."""

from pathlib import Path
from typing import Any

from dealrec.app.jobs.lifecycle import stages_of
from dealrec.app.jobs.service import add_select_job
from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import JobRow
from dealrec.config import PruneConfig
from dealrec.config.runtime import Runtime
from dealrec.pipeline import prune
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model
from tests.worker.makers import TINY, interactions, new_job, upload
from tests.worker.processes import embedded, until

BUDGET = 12
MADE = {
    "d2": {"difficulty", "embedding"},
    "goracs": {"embedding"},
    "gradient_match": {"gradients"},
    "ifd": {"ifd"},
    "metagradient": {"titles"},
}


def _config(model: Path, method: str) -> dict[str, Any]:
    return {
        **TINY,
        "effort": {"model": str(model)},
        "embedding": {"validation_samples": 20},
        "gradients": {"model": str(model), "dimension": 16, "validation_samples": 20},
        "ifd": {"model": str(model)},
        "titles": {"model": str(model)},
        "selection": {"method": method, "exchanges": 2, "rounds": 2, "training_epochs": 2},
    }


def test_a_job_makes_what_its_selector_looks_at_and_a_later_one_reuses_it(tmp_path: Path) -> None:
    model = tmp_path / "tiny"
    tiny_model().save_pretrained(model)
    byte_tokenizer().save_pretrained(model)
    (tmp_path / "interactions.csv").write_text(interactions())
    expected = {
        method: prune(
            tmp_path / "interactions.csv",
            budget=BUDGET,
            out=tmp_path / method,
            work=tmp_path / "work",
            config=_config(model, method),
            runtime=Runtime(threads=1),
        ).coreset.sha256
        for method in MADE
    }
    settings = Settings(data_dir=tmp_path / "data", poll_seconds=0.05, torch_threads=1)
    database, storage = Database(settings), Storage(settings)
    database.migrate()
    dataset_id = upload(database, storage, tmp_path)
    with database.session() as session:
        first = new_job(
            session, session.get_one(DatasetRow, dataset_id), BUDGET, _config(model, "random")
        )
    with embedded(settings):
        until(lambda: _finished(database, first.id), 120)
        jobs = {method: _select(database, dataset_id, _config(model, method)) for method in MADE}
        for job_id in jobs.values():
            until(lambda job_id=job_id: _finished(database, job_id), 120)  # type: ignore[misc]
    stages: dict[str, list[str]] = {}
    with database.session(write=False) as session:
        for method, job_id in jobs.items():
            row = session.get_one(JobRow, job_id)
            assert session.get_one(CoresetRow, row.coreset_id).sha256 == expected[method], method
            stages[method] = [stage.name for stage in stages_of(session, row)]
            for stage in stages_of(session, row):
                if stage.name in ("surrogate", "influence", "effort"):
                    assert stage.reused, (method, stage.name)
        again = [
            stage.reused
            for method in ("d2", "goracs")
            for stage in stages_of(session, session.get_one(JobRow, jobs[method]))
            if stage.name == "embedding"
        ]
    assert sorted(again) == [False, True]
    for method, made in MADE.items():
        assert set(stages[method]) == {"surrogate", "influence", "effort", "select"} | made
    database.dispose()


def _select(database: Database, dataset_id: str, config: dict[str, Any]) -> str:
    with database.session() as session:
        dataset = session.get_one(DatasetRow, dataset_id)
        parsed = PruneConfig.parse(config)
        return add_select_job(session, dataset, budget=BUDGET, config=parsed).id


def _finished(database: Database, job_id: str) -> bool:
    with database.session(write=False) as session:
        row = session.get_one(JobRow, job_id)
        assert row.error is None, row.error
        return row.state == "succeeded"
