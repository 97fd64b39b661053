"""Rows and files that tests of the worker start from."""

import random
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from dealrec.app.jobs.lifecycle import plan_job
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.storage import Storage
from dealrec.app.stages.queueing import plan_ingest
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import JobKind, JobRow, JobState

TENANT = "tn_test"
TINY: dict[str, Any] = {
    "effort": None,
    "surrogate": {"epochs": 1, "hidden_size": 8, "heads": 1, "layers": 1, "max_length": 10},
    "influence": {"max_iterations": 20},
    "selection": {"method": "dealrec", "strata": 5},
}


def ready_dataset(session: Session, tenant_id: str = TENANT) -> DatasetRow:
    """A data set as an ingest leaves it, without files: 30 users with 5 training items each."""
    dataset = DatasetRow(
        id=new_id("ds"),
        tenant_id=tenant_id,
        name="test",
        state=DatasetState.READY.value,
        uploads={"interactions": {"key": "none", "filename": "none.csv", "bytes": 0}},
        prefix="datasets/none",
        sha256="0" * 64,
        counts={"valid": 30},
        train_lengths={"5": 30},
        created_at=database_now(session),
    )
    session.add(dataset)
    session.flush()
    return dataset


def new_job(
    session: Session,
    dataset: DatasetRow,
    budget: float = 10,
    config: dict[str, Any] | None = None,
) -> JobRow:
    """A planned ``prune`` job."""
    job = JobRow(
        id=new_id("job"),
        tenant_id=dataset.tenant_id,
        kind=JobKind.PRUNE.value,
        state=JobState.QUEUED.value,
        dataset_id=dataset.id,
        budget_requested=budget,
        config=TINY if config is None else config,
        job_metadata={},
        created_at=database_now(session),
    )
    plan_job(session, job, dataset)
    return job


def upload(database: Database, storage: Storage, folder: Path, content: str | None = None) -> str:
    """A data set that waits for its ingest: 60 users, 30 items, or ``content``; gives its id."""
    path = folder / "upload.csv"
    path.write_text(interactions() if content is None else content)
    identifier = new_id("ds")
    key = f"datasets/{TENANT}/{identifier}/uploads/interactions"
    storage.put_file(key, path)
    size = path.stat().st_size
    file = {"key": key, "filename": "interactions.csv", "bytes": size}
    with database.session() as session:
        dataset = DatasetRow(
            id=identifier,
            tenant_id=TENANT,
            name="test",
            state=DatasetState.VALIDATING.value,
            uploads={"interactions": file, "items": None},
            stored_bytes=size,
            created_at=database_now(session),
        )
        plan_ingest(session, dataset)
    return identifier


def interactions() -> str:
    """60 users with 8 interactions each."""
    draw = random.Random(0)
    rows = ["user_id,item_id,timestamp"]
    for user in range(60):
        for step in range(8):
            item = (user + step * draw.randint(1, 3)) % 30
            rows.append(f"u{user},i{item},{1_000_000 + draw.randint(0, 90_000)}")
    return "\n".join(rows) + "\n"
