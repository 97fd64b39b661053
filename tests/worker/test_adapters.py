"""Effort and fine-tuning with the real language model, through the worker."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dealrec.app.jobs.lifecycle import plan_job
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.adapters import AdapterRow
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import JobKind, JobRow, JobState
from dealrec.worker.claims import claim
from dealrec.worker.runner import Runner
from tests.worker.makers import TENANT, TINY, new_job, upload

LORA = {"epochs": 1, "batch_size": 4, "max_tokens": 64}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def run_all(settings: Settings, database: Database, storage: Storage) -> Callable[[], None]:
    """Runs stages until none is queued."""
    unhurried = settings.model_copy(update={"lease_seconds": 60, "heartbeat_seconds": 10})
    runner = Runner(unhurried, database, storage, lambda: False)

    def run() -> None:
        while (taken := claim(database, unhurried, "test", queues=["cpu", "gpu"])) is not None:
            runner.run(taken)

    return run


@pytest.mark.model
def test_a_job_with_effort_and_fine_tuning_ends_in_an_adapter_and_so_does_its_coreset(
    database: Database, storage: Storage, tmp_path: Path, run_all: Callable[[], None]
) -> None:
    dataset_id = upload(database, storage, tmp_path)
    config = {**TINY, "effort": {"max_tokens": 64}, "finetune": LORA}
    with database.session() as session:
        job = new_job(session, session.get_one(DatasetRow, dataset_id), 4, config)
    run_all()
    with database.session() as session:
        row = session.get_one(JobRow, job.id)
        assert row.state == "succeeded", row.error
        adapter = session.get_one(AdapterRow, row.adapter_id)
        coreset = session.get_one(CoresetRow, row.coreset_id)
        again = JobRow(
            id=new_id("job"),
            tenant_id=TENANT,
            kind=JobKind.FINETUNE.value,
            state=JobState.QUEUED.value,
            dataset_id=dataset_id,
            source_coreset_id=coreset.id,
            config=LORA,
            job_metadata={},
            created_at=database_now(session),
        )
        plan_job(session, again, session.get_one(DatasetRow, dataset_id))
    names = {file["name"] for file in adapter.files}
    assert {"adapter_config.json", "adapter_model.safetensors", "README.md"} <= names
    assert all(storage.size(f"{adapter.prefix}/{f['name']}") == f["bytes"] for f in adapter.files)
    assert adapter.coreset_id == coreset.id and adapter.model == "smollm2-135m"

    run_all()
    with database.session(write=False) as session:
        row = session.get_one(JobRow, again.id)
        assert row.state == "succeeded", row.error
        second = session.get_one(AdapterRow, row.adapter_id)
    weights = {
        file["sha256"]
        for one in (adapter, second)
        for file in one.files
        if file["name"] == "adapter_model.safetensors"
    }
    assert len(weights) == 1
    assert second.coreset_id == coreset.id
