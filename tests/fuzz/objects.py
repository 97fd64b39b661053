"""Objects of the server under fire: results of real work, and objects that take too long to make."""

from pathlib import Path

import httpx

from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.jobs import ArtifactRow, JobKind, JobRow, JobState, StageRow, StageState
from dealrec.config.stages import StageName
from dealrec.coresets.writer import REPORT
from tests.app.conftest import Finisher
from tests.worker.makers import TINY, interactions
from tests.worker.processes import embedded, until

PART = b"user_id,it"
"""The whole of the upload that waits for its one part."""
_JOBS = 5
_PAGE = "<!doctype html><title>Report</title>"


def real_objects(client: httpx.Client, settings: Settings) -> dict[str, list[str]]:
    """Run one tiny job, and select coresets again from its scores."""
    form = {"interactions": ("games.csv", interactions())}
    dataset = client.post("/v1/datasets", files=form).raise_for_status().json()["id"]
    body = {"dataset_id": dataset, "budget": 10, "config": TINY}
    job = client.post("/v1/jobs", json=body).raise_for_status().json()["id"]

    def state() -> str:
        return str(client.get(f"/v1/jobs/{job}").raise_for_status().json()["state"])

    with embedded(settings):
        until(lambda: state() in ("succeeded", "failed"), 600)
    assert state() == "succeeded", client.get(f"/v1/jobs/{job}").text
    coresets = [
        client.post(f"/v1/jobs/{job}/coresets", json={"budget": budget}).raise_for_status()
        for budget in range(5, 8)
    ]
    announced = {"filename": "a.csv", "bytes": len(PART)}
    uploads = [
        client.post("/v1/uploads", json=announced).raise_for_status().json()["id"] for _ in range(3)
    ]
    for upload in uploads[:2]:
        client.put(f"/v1/uploads/{upload}/parts/1", content=PART).raise_for_status()
    return {
        "dataset_id": [dataset],
        "job_id": [job],
        "coreset_id": [answer.json()["id"] for answer in coresets],
        "upload_id": uploads,
    }


def finished(database: Database, storage: Storage, folder: Path) -> dict[str, str]:
    """A data set, a job with its coreset, and an adapter, as workers leave them."""
    folder.mkdir()
    made = Finisher(database, storage, folder).all()
    (folder / REPORT).write_text(_PAGE)
    storage.put_file(f"coresets/default/{made.coreset}/{REPORT}", folder / REPORT)
    return {
        "dataset_id": made.dataset,
        "job_id": made.finetune,
        "coreset_id": made.coreset,
        "adapter_id": made.adapter,
    }


def pause_and_fail(
    client: httpx.Client, database: Database, ids: dict[str, list[str]]
) -> tuple[list[str], list[str]]:
    """Jobs that have not run: some paused, some failed; two of each are given back, not in ``ids``."""
    body = {"dataset_id": ids["dataset_id"][0], "budget": 11, "config": TINY}
    jobs = [
        client.post("/v1/jobs", json=body).raise_for_status().json()["id"] for _ in range(2 * _JOBS)
    ]
    for job in jobs[:_JOBS]:
        client.post(f"/v1/jobs/{job}/pause").raise_for_status()
    with database.session() as session:
        for job in jobs[_JOBS:]:
            row = session.get_one(JobRow, job)
            row.state = JobState.FAILED.value
    ids["job_id"] += jobs[2:-2]
    return jobs[:2], jobs[-2:]


def comparison(database: Database, storage: Storage, dataset_id: str, folder: Path) -> str:
    """A comparison that has its report."""
    folder.mkdir()
    (folder / "report.html").write_text(_PAGE)
    (folder / "report.json").write_text("{}")
    (folder / "users.parquet").write_bytes(b"PAR1")
    job, stage = new_id("job"), new_id("st")
    prefix = f"artifacts/default/{stage}/1"
    storage.put_folder(prefix, folder)
    common = {"tenant_id": "default", "dataset_id": dataset_id}
    with database.session() as session:
        now = database_now(session)
        artifact = ArtifactRow(
            id=new_id("art"),
            tenant_id="default",
            stage=StageName.COMPARE.value,
            key=stage.ljust(64, "0")[:64],
            prefix=prefix,
            created_at=now,
        )
        row = JobRow(
            **common,
            id=job,
            kind=JobKind.COMPARISON.value,
            state=JobState.SUCCEEDED.value,
            config={},
            job_metadata={},
            created_at=now,
        )
        session.add_all([row, artifact])
        session.flush()
        session.add(
            StageRow(
                **common,
                id=stage,
                job_id=job,
                name=StageName.COMPARE.value,
                queue="cpu",
                state=StageState.SUCCEEDED.value,
                artifact_id=artifact.id,
                needs=[],
            )
        )
    return job
