"""Comparisons over HTTP."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from dealrec.app.jobs.lifecycle import stages_of
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import ArtifactRow, JobRow, JobState, StageRow, StageState
from dealrec.config.comparison import CONTROLS
from tests.app.conftest import Finisher


def asked(dataset: DatasetRow, **fields: Any) -> dict[str, Any]:
    return {
        "dataset_id": dataset.id,
        "budgets": [5, 0.5],
        "selectors": ["dealrec", "stratified_random"],
        "seeds": 2,
        **fields,
    }


def test_a_comparison_is_planned_and_resolved(client: TestClient, finisher: Finisher) -> None:
    body = asked(finisher.dataset(), metadata={"run": "nightly"})
    answer = client.post("/v1/comparisons", json=body)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["kind"], job["budget"], job["evaluation"]) == ("comparison", None, None)
    assert job["metadata"] == {"run": "nightly"}
    config = job["config"]
    assert config["budgets"] == [5, 0.5]
    assert [one["method"] for one in config["selectors"]] == [
        *(method for method in CONTROLS if method != "stratified_random"),
        "dealrec",
        "stratified_random",
    ]
    assert config["config"]["influence"]["target"] == "validation"
    assert config["config"]["finetune"]["recommender"] == "encoder"
    assert {stage["name"]: stage["state"] for stage in job["stages"]} == {
        "surrogate": "queued",
        "headroom": "queued",
        "influence": "waiting",
        "effort": "waiting",
        "compare": "waiting",
    }
    runs = {stage["name"]: stage["runs"] for stage in job["stages"]}
    assert runs["surrogate"] == runs["influence"] == {"done": 0, "total": 2}
    assert runs["effort"] is None and runs["compare"] is None
    assert client.get(f"/v1/jobs/{job['id']}").json() == job
    assert client.get(f"/v1/jobs/{job['id']}/scores").json()["data"] == []


STAGES = {
    "effort has no weight": (
        [{"method": "dealrec", "selection": {"effort_weight": 0}}],
        ["surrogate", "headroom", "influence", "compare"],
    ),
    "all that any needs": (
        ["influence", "grand", "goracs"],
        ["surrogate", "headroom", "influence", "effort", "difficulty", "embedding", "compare"],
    ),
    "gradients": (
        ["gradient_match"],
        ["surrogate", "headroom", "influence", "gradients", "compare"],
    ),
}


@pytest.mark.parametrize(("selectors", "stages"), STAGES.values(), ids=STAGES)
def test_it_scores_what_any_of_its_selectors_looks_at(
    client: TestClient, finisher: Finisher, selectors: list[Any], stages: list[str]
) -> None:
    job = client.post("/v1/comparisons", json=asked(finisher.dataset(), selectors=selectors))
    assert [stage["name"] for stage in job.json()["stages"]] == stages


@pytest.mark.parametrize("candidates", [None, 2])
def test_its_scores_are_those_of_a_job_with_the_same_configuration(
    client: TestClient, finisher: Finisher, database: Database, candidates: int | None
) -> None:
    dataset = finisher.dataset()
    config = {"effort": {"candidates": candidates}}
    body = {"dataset_id": dataset.id, "budget": 30, "config": config}
    prune = client.post("/v1/jobs", json=body).json()["id"]
    first, other = (
        client.post("/v1/comparisons", json=asked(dataset, config=config, seeds=seeds)).json()["id"]
        for seeds in (2, 3)
    )
    keys = {}
    with database.session(write=False) as session:
        for job in (prune, first, other):
            row = session.get_one(JobRow, job)
            assert row.budget_samples == 30  # what the pool of candidates is drawn for
            keys[job] = {
                stage.name: stage.key for stage in stages_of(session, row) if not stage.run
            }
    for name in ("surrogate", "influence", "effort"):
        assert keys[prune][name] == keys[first][name] == keys[other][name]
    assert keys[first]["compare"] != keys[other]["compare"]


def test_effort_is_split_into_shards_as_that_of_other_jobs(
    client: TestClient, finisher: Finisher
) -> None:
    config = {"effort": {"shard_samples": 25}}
    job = client.post("/v1/comparisons", json=asked(finisher.dataset(), config=config)).json()
    (effort,) = (stage for stage in job["stages"] if stage["name"] == "effort")
    assert effort["shards"] == {"done": 0, "total": 3}


def test_one_on_a_validating_data_set_waits(client: TestClient, csv: bytes) -> None:
    dataset = client.post("/v1/datasets", files={"interactions": ("a.csv", csv)}).json()
    body = {"dataset_id": dataset["id"], "budgets": [5], "selectors": ["influence"]}
    job = client.post("/v1/comparisons", json=body).json()
    assert {stage["state"] for stage in job["stages"]} == {"waiting"}


def test_one_on_a_rejected_data_set_is_409(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    dataset = finisher.dataset()
    with database.session() as session:
        session.get_one(DatasetRow, dataset.id).state = "rejected"
    answer = client.post("/v1/comparisons", json=asked(dataset))
    assert (answer.status_code, answer.json()["code"]) == (409, "dataset_rejected")


def test_the_same_request_has_one_effect(client: TestClient, finisher: Finisher) -> None:
    body, key = asked(finisher.dataset()), {"Idempotency-Key": "weekly"}
    first = client.post("/v1/comparisons", json=body, headers=key)
    second = client.post("/v1/comparisons", json=body, headers=key)
    assert second.json() == first.json()
    assert second.headers["idempotency-replayed"] == "true"
    other = client.post("/v1/comparisons", json={**body, "seeds": 3}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert len(client.get("/v1/jobs").json()["data"]) == 1


def test_it_is_paused_resumed_cancelled_and_deleted_as_any_job(
    client: TestClient, finisher: Finisher
) -> None:
    dataset = finisher.dataset()
    job = client.post("/v1/comparisons", json=asked(dataset)).json()
    path = f"/v1/jobs/{job['id']}"
    assert client.post(f"{path}/pause").json()["state"] == "paused"
    resumed = client.post(f"{path}/resume").json()
    assert [s["state"] for s in resumed["stages"]] == [s["state"] for s in job["stages"]]
    refused = client.delete(f"/v1/datasets/{dataset.id}")
    assert (refused.status_code, refused.json()["code"]) == (409, "in_use")
    assert client.post(f"{path}/cancel").json()["state"] == "cancelled"
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


def finish(database: Database, storage: Storage, settings: Settings, job_id: str) -> str:
    """As the worker leaves a comparison; gives the prefix of its files."""
    folder = settings.data_dir / "report"
    folder.mkdir()
    (folder / "report.html").write_text("<p><script>alert(1)</script></p>")
    (folder / "report.json").write_text('{"verdict": "None is better."}')
    (folder / "users.parquet").write_bytes(b"PAR1")
    with database.session() as session:
        job = session.get_one(JobRow, job_id)
        stage = session.query(StageRow).filter_by(job_id=job_id, name="compare").one()
        prefix = f"artifacts/{job.tenant_id}/{stage.id}/1"
        storage.put_folder(prefix, folder)
        artifact = ArtifactRow(
            id=new_id("art"),
            tenant_id=job.tenant_id,
            stage="compare",
            key=stage.key,
            prefix=prefix,
            created_at=database_now(session),
        )
        session.add(artifact)
        session.flush()
        for row in stages_of(session, job):
            row.state = StageState.SUCCEEDED.value
        stage.artifact_id = artifact.id
        job.state = JobState.SUCCEEDED.value
    return prefix


def test_a_report_is_downloaded_in_each_form_and_runs_nothing(
    client: TestClient,
    finisher: Finisher,
    database: Database,
    storage: Storage,
    settings: Settings,
    make_key: Any,
) -> None:
    job = client.post("/v1/comparisons", json=asked(finisher.dataset())).json()["id"]
    path = f"/v1/jobs/{job}/report"
    early = client.get(path)
    assert (early.status_code, early.json()["code"]) == (404, "no_report")
    assert early.json()["state"] == "queued"
    prefix = finish(database, storage, settings, job)

    page = client.get(path)
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["content-disposition"] == f'attachment; filename="{job}-report.html"'
    policy = page.headers["content-security-policy"].split("; ")
    assert {"sandbox", "default-src 'none'"} <= set(policy)
    assert not any(part.startswith("script-src") for part in policy)
    assert client.get(f"{path}?format=json").json() == {"verdict": "None is better."}
    assert client.get(f"{path}?format=parquet").content == b"PAR1"
    assert client.get(f"{path}?format=pdf").status_code == 422
    part = client.get(path, headers={"range": "bytes=3-9"})
    assert (part.status_code, part.content) == (206, page.content[3:10])
    known = client.get(path, headers={"if-none-match": page.headers["etag"]})
    assert known.status_code == 304

    stranger = make_key("team-b")
    assert client.get(path, headers=stranger).json()["code"] == "not_found"
    owner = make_key("default")
    assert client.delete(f"/v1/jobs/{job}", headers=owner).status_code == 204
    assert storage.keys(prefix) == []


def test_jobs_of_other_kinds_have_no_report(client: TestClient, finisher: Finisher) -> None:
    answer = client.get(f"/v1/jobs/{finisher.all().job}/report")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_report")
    assert "/v1/coresets/" in answer.json()["detail"]
