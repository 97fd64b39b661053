"""Jobs over HTTP."""

import pytest
from fastapi.testclient import TestClient

from dealrec.app.kit.database import Database
from dealrec.app.tables.datasets import DatasetRow
from dealrec.config import PruneConfig
from dealrec.config.scales import FINETUNE, Scale
from tests.app.conftest import Finisher, samples_of
from tests.app.datasets.test_endpoints import files_left


def test_a_job_on_a_ready_data_set_is_planned_and_resolved(
    client: TestClient, finisher: Finisher
) -> None:
    dataset = finisher.dataset()
    body = {"dataset_id": dataset.id, "budget": 0.1, "metadata": {"run": "nightly"}}
    answer = client.post("/v1/jobs", json=body)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert job["budget"] == {"requested": 0.1, "samples": samples_of(dataset) // 10}
    assert job["config"]["influence"]["target"] == "validation"
    assert job["metadata"] == {"run": "nightly"}
    assert {stage["name"]: stage["state"] for stage in job["stages"]} == {
        "surrogate": "queued",
        "influence": "waiting",
        "select": "waiting",
    }
    assert client.get(f"/v1/jobs/{job['id']}").json() == job
    assert client.get("/v1/jobs?state=queued").json()["data"] + client.get(
        "/v1/jobs?state=running"
    ).json()["data"] == [job]
    assert client.get("/v1/jobs?dataset_id=ds_other").json()["data"] == []


def test_the_selector_that_nobody_asked_for_follows_from_the_training(
    client: TestClient, finisher: Finisher
) -> None:
    encoder = FINETUNE[Scale.CPU].model_dump(mode="json", exclude_defaults=True) | {"epochs": 7}
    body = {"dataset_id": finisher.dataset().id, "budget": 9, "config": {"finetune": encoder}}
    job = client.post("/v1/jobs", json=body).json()
    assert job["config"]["selection"]["method"] == "metagradient"
    assert job["config"]["selection"]["training_epochs"] == 7
    assert "titles" in {stage["name"] for stage in job["stages"]}
    assert "metagradient" in job["name"]
    estimate = client.post("/v1/estimates", json=body).json()
    assert "titles" in {stage["name"] for stage in estimate["stages"]}
    assert estimate["warnings"] == []


def test_a_job_on_a_validating_data_set_waits(client: TestClient, csv: bytes) -> None:
    dataset = client.post("/v1/datasets", files={"interactions": ("a.csv", csv)}).json()
    job = client.post("/v1/jobs", json={"dataset_id": dataset["id"], "budget": 5}).json()
    assert job["budget"] == {"requested": 5, "samples": None}
    assert job["config"] == PruneConfig().model_dump(mode="json")
    assert {stage["state"] for stage in job["stages"]} == {"waiting"}


def test_a_job_on_a_rejected_data_set_is_409(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    dataset = finisher.dataset()
    with database.session() as session:
        session.get_one(DatasetRow, dataset.id).state = "rejected"
    answer = client.post("/v1/jobs", json={"dataset_id": dataset.id, "budget": 5})
    assert (answer.status_code, answer.json()["code"]) == (409, "dataset_rejected")


BAD_JOBS = {
    "budget 0": ({"budget": 0}, "invalid_budget", "budget"),
    "budget -1": ({"budget": -1}, "invalid_budget", "budget"),
    "budget 1.5": ({"budget": 1.5}, "invalid_budget", "budget"),
    "budget true": ({"budget": True}, "invalid_budget", "budget"),
    "budget text": ({"budget": "5"}, "invalid_budget", "budget"),
    "budget above": ({"budget": 10_000}, "budget_too_large", "budget"),
    "start": (
        {"config": {"finetune": {"from_adapter": "/etc"}}},
        "unknown_adapter",
        "config.finetune.from_adapter",
    ),
    "model": ({"config": {"effort": {"model": "gpt"}}}, "unknown_model", "config.effort.model"),
    "path": ({"config": {"finetune": {"model": "/etc"}}}, "unknown_model", "config.finetune.model"),
    "adapter": (
        {"config": {"effort": {"parameters": "lora", "adapter": "/etc"}}},
        "invalid_config",
        "config.effort.adapter",
    ),
    "import path": (
        {"config": {"surrogate": {"model": "os.path:join"}}},
        "invalid_config",
        "config.surrogate.model",
    ),
    "unknown surrogate": (
        {"config": {"surrogate": {"model": "caser"}}},
        "invalid_config",
        "config.surrogate.model",
    ),
    "unknown in config": ({"config": {"x": 1}}, "invalid_config", "config.x"),
    "bad in config": (
        {"config": {"selection": {"strata": 0}}},
        "invalid_config",
        "config.selection.strata",
    ),
    "unknown": ({"x": 1}, "invalid_request", "x"),
    "NUL": ({"metadata": {"a": "\0"}}, "invalid_text", "metadata.a"),
    "surrogate": ({"metadata": {"a": "\ud800"}}, "invalid_text", "metadata.a"),
    "17 texts": ({"metadata": {str(n): "" for n in range(17)}}, "invalid_request", "metadata"),
}


@pytest.mark.parametrize(("change", "code", "location"), BAD_JOBS.values(), ids=BAD_JOBS)
def test_a_bad_job_gets_its_code(
    client: TestClient, finisher: Finisher, change, code, location
) -> None:
    import json

    body = {"dataset_id": finisher.dataset().id, "budget": 5, **change}
    answer = client.post(
        "/v1/jobs", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, code)
    assert [error["location"] for error in problem["errors"]] == [location]
    assert client.get("/v1/jobs").json()["data"] == []


def test_a_cancelled_job_says_so_and_can_be_deleted(client: TestClient, finisher: Finisher) -> None:
    body = {"dataset_id": finisher.dataset().id, "budget": 5}
    job = client.post("/v1/jobs", json=body).json()["id"]
    assert client.delete(f"/v1/jobs/{job}").json()["code"] == "in_use"
    cancelled = client.post(f"/v1/jobs/{job}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
    again = client.post(f"/v1/jobs/{job}/cancel")
    assert (again.status_code, again.json()["state"]) == (409, "cancelled")
    events = client.get(f"/v1/jobs/{job}/events").json()["data"]
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["kind"] == "job.cancelled"
    later = client.get(f"/v1/jobs/{job}/events?after={len(events) - 1}").json()["data"]
    assert later == events[-1:]
    assert client.delete(f"/v1/jobs/{job}").status_code == 204
    assert client.get(f"/v1/jobs/{job}").status_code == 404


def test_prune_makes_data_set_and_job_together(client: TestClient, csv: bytes) -> None:
    answer = client.post(
        "/v1/prune",
        files={"interactions": ("a.csv", csv)},
        data={"budget": "0.2", "config": '{"effort": null}', "metadata": '{"a": "b"}'},
    )
    assert answer.status_code == 202
    job = answer.json()
    assert job["budget"]["requested"] == 0.2
    assert job["config"]["effort"] is None
    assert client.get(f"/v1/datasets/{job['dataset_id']}").json()["state"] == "validating"


BAD_PRUNES = {
    "no budget": ({}, "missing_field"),
    "budget 0": ({"budget": "0"}, "invalid_budget"),
    "budget 1.5": ({"budget": "1.5"}, "invalid_budget"),
    "config not JSON": ({"budget": "5", "config": "{a"}, "invalid_json"),
    "config unknown": ({"budget": "5", "config": '{"a": 1}'}, "invalid_config"),
    "model": ({"budget": "5", "config": '{"effort": {"model": "x"}}'}, "unknown_model"),
    "deep": ({"budget": "5", "config": "[" * 100_000}, "invalid_json"),
}


@pytest.mark.parametrize(("data", "code"), BAD_PRUNES.values(), ids=BAD_PRUNES)
def test_a_bad_prune_leaves_nothing_behind(
    client: TestClient, csv: bytes, settings, data, code
) -> None:
    answer = client.post("/v1/prune", files={"interactions": ("a.csv", csv)}, data=data)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert client.get("/v1/datasets").json()["data"] == []
    assert files_left(settings) == []


def test_a_job_is_paused_resumed_and_not_retried(client: TestClient, finisher: Finisher) -> None:
    body = {"dataset_id": finisher.dataset().id, "budget": 5}
    job = client.post("/v1/jobs", json=body).json()
    paused = client.post(f"/v1/jobs/{job['id']}/pause")
    assert (paused.status_code, paused.json()["state"]) == (202, "paused")
    assert {stage["state"] for stage in paused.json()["stages"]} == {"paused", "waiting"}
    assert paused.json()["eta_seconds"] is None
    resumed = client.post(f"/v1/jobs/{job['id']}/resume").json()
    assert resumed["state"] == "queued"
    assert [s["state"] for s in resumed["stages"]] == [s["state"] for s in job["stages"]]
    refused = client.post(f"/v1/jobs/{job['id']}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "job_not_failed")
    assert refused.json()["state"] == "queued"
    kinds = [e["kind"] for e in client.get(f"/v1/jobs/{job['id']}/events").json()["data"]]
    assert kinds.count("job.paused") == 1
    assert kinds.count("job.queued") == 2


def test_a_job_paused_before_its_data_set_was_ready_starts_when_it_is_resumed(
    client: TestClient, csv: bytes
) -> None:
    dataset = client.post("/v1/datasets", files={"interactions": ("a.csv", csv)}).json()
    job = client.post("/v1/jobs", json={"dataset_id": dataset["id"], "budget": 5}).json()
    assert client.post(f"/v1/jobs/{job['id']}/pause").json()["state"] == "paused"
    resumed = client.post(f"/v1/jobs/{job['id']}/resume").json()
    assert resumed["state"] == "queued"
    assert {stage["state"] for stage in resumed["stages"]} == {"waiting"}
