"""Estimates over HTTP."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import ArtifactRow, JobRow, StageRow, StageState
from tests.app.conftest import Finisher, samples_of

Headers = Callable[..., dict[str, str]]


def finish(database: Database, job_id: str, seconds: dict[str, float], **values: object) -> None:
    """As if the job's stages had run, each for so long."""
    with database.session() as session:
        now = database_now(session)
        for stage in session.query(StageRow).filter(StageRow.job_id == job_id):
            stage.state, stage.attempt = StageState.SUCCEEDED.value, 1
            stage.started_at = now - timedelta(seconds=seconds[stage.name])
            stage.finished_at = now
            stage.metrics = {"peak_memory_bytes": 7e8}
            for name, value in values.items():
                setattr(stage, name, value)


def test_without_a_past_the_reference_machine_answers(
    client: TestClient, finisher: Finisher
) -> None:
    dataset = finisher.dataset()
    answer = client.post(
        "/v1/estimates", json={"dataset_id": dataset.id, "budget": 0.1, "config": {"effort": {}}}
    )
    assert answer.status_code == 200
    found = answer.json()
    assert [stage["name"] for stage in found["stages"]] == [
        "surrogate",
        "influence",
        "effort",
        "select",
    ]
    assert {stage["calibrated_on"]["basis"] for stage in found["stages"]} == {"reference"}
    assert found["budget"]["samples"] == samples_of(dataset) // 10
    assert found["seconds"] == pytest.approx(sum(s["seconds"] for s in found["stages"]), abs=0.2)
    assert client.get("/v1/jobs").json()["data"] == []


def test_finished_stages_say_how_long_like_ones_take(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    dataset = finisher.dataset()
    body = {"dataset_id": dataset.id, "budget": 5, "config": {"effort": None}}
    job = client.post("/v1/jobs", json=body).json()
    finish(database, job["id"], {"surrogate": 64.0, "influence": 24.0, "select": 5.0})
    twice = {**body, "config": {"effort": None, "surrogate": {"epochs": 24}}}
    first, second = (
        {stage["name"]: stage for stage in client.post("/v1/estimates", json=one).json()["stages"]}
        for one in (body, twice)
    )
    assert first["surrogate"]["seconds"] == pytest.approx(64, abs=0.2)
    assert first["influence"]["seconds"] == pytest.approx(24, abs=0.2)
    assert first["surrogate"]["peak_memory_bytes"] == 700_000_000
    assert first["surrogate"]["calibrated_on"] == {"basis": "finished_stages", "stages": 1}
    assert second["surrogate"]["seconds"] == pytest.approx(0.5 + 2 * 63.5, abs=0.2)
    other = {**body, "config": {"effort": None, "surrogate": {"model": "gru4rec"}}}
    unlike = client.post("/v1/estimates", json=other).json()["stages"][0]
    assert unlike["calibrated_on"] == {"basis": "reference", "stages": 0}


def test_of_two_like_stages_the_shorter_counts_since_the_first_loaded_libraries(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    body = {"dataset_id": finisher.dataset().id, "budget": 5, "config": {"effort": None}}
    for selecting in (9.0, 2.0):
        job = client.post("/v1/jobs", json=body).json()
        finish(database, job["id"], {"surrogate": 1.0, "influence": 1.0, "select": selecting})
    stages = client.post("/v1/estimates", json=body).json()["stages"]
    assert stages[-1]["seconds"] == pytest.approx(2, abs=0.2)
    assert stages[-1]["calibrated_on"]["stages"] == 2


def test_stages_of_about_the_same_size_count_before_those_that_have_to_be_scaled(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    body = {"dataset_id": finisher.dataset().id, "budget": 5, "config": {"effort": None}}
    for epochs, training in ((12, 10.0), (1, 3.0), (1, 3.0)):
        config = {"effort": None, "surrogate": {"epochs": epochs}}
        job = client.post("/v1/jobs", json={**body, "config": config}).json()
        finish(database, job["id"], {"surrogate": training, "influence": 1.0, "select": 1.0})
    surrogate = client.post("/v1/estimates", json=body).json()["stages"][0]
    assert surrogate["seconds"] == pytest.approx(10, abs=0.2)
    assert surrogate["calibrated_on"]["stages"] == 1


@pytest.mark.parametrize("values", [{"reused": True}, {"attempt": 2}])
def test_reused_and_resumed_stages_teach_nothing(
    client: TestClient, finisher: Finisher, database: Database, values: dict[str, object]
) -> None:
    dataset = finisher.dataset()
    body = {"dataset_id": dataset.id, "budget": 5, "config": {"effort": None}}
    job = client.post("/v1/jobs", json=body).json()
    finish(database, job["id"], {"surrogate": 64.0, "influence": 24.0, "select": 5.0}, **values)
    stages = client.post("/v1/estimates", json=body).json()["stages"]
    assert {stage["calibrated_on"]["basis"] for stage in stages} == {"reference"}


def test_what_is_there_already_costs_nothing(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    dataset = finisher.dataset()
    body = {"dataset_id": dataset.id, "budget": 5, "config": {"effort": None}}
    job = client.post("/v1/jobs", json=body).json()
    with database.session() as session:
        stages = session.query(StageRow).filter(StageRow.job_id == job["id"])
        surrogate = next(stage for stage in stages if stage.name == "surrogate")
        session.add(
            ArtifactRow(
                id=new_id("ar"),
                tenant_id=surrogate.tenant_id,
                stage=surrogate.name,
                key=surrogate.key,
                prefix="somewhere",
                created_at=database_now(session),
            )
        )
    found = client.post("/v1/estimates", json=body).json()["stages"]
    assert {stage["name"]: stage["reused"] for stage in found} == {
        "surrogate": True,
        "influence": False,
        "select": False,
    }
    assert found[0]["seconds"] == 0
    again = client.post("/v1/jobs", json=body).json()["stages"]
    assert [stage["expected_seconds"] for stage in again] == [one["seconds"] for one in found]


def test_a_training_on_a_coreset_is_expected_by_earlier_ones(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    made = finisher.all()
    path = f"/v1/coresets/{made.coreset}/finetunes"
    first = client.post(path, json={}).json()
    finish(database, first["id"], {"finetune": 90.0})
    with database.session() as session:
        session.get_one(JobRow, first["id"]).state = "succeeded"
    (stage,) = client.post(path, json={"seed": 1}).json()["stages"]
    assert stage["expected_seconds"] == pytest.approx(90)


def test_the_past_of_another_tenant_is_not_looked_at(
    client: TestClient, finisher: Finisher, database: Database, make_key: Headers
) -> None:
    mine, other = make_key(), make_key("other")
    dataset, foreign = finisher.dataset(), finisher.dataset("other")
    body = {"budget": 5, "config": {"effort": None}}
    job = client.post("/v1/jobs", json={**body, "dataset_id": foreign.id}, headers=other).json()
    finish(database, job["id"], {"surrogate": 64.0, "influence": 24.0, "select": 5.0})
    found = client.post("/v1/estimates", json={**body, "dataset_id": dataset.id}, headers=mine)
    assert {stage["calibrated_on"]["stages"] for stage in found.json()["stages"]} == {0}
    hidden = client.post("/v1/estimates", json={**body, "dataset_id": foreign.id}, headers=mine)
    assert hidden.status_code == 404


@pytest.mark.parametrize(
    ("state", "code"), [("validating", "dataset_not_ready"), ("rejected", "dataset_rejected")]
)
def test_a_data_set_that_is_not_ready_is_409(
    client: TestClient, finisher: Finisher, database: Database, state: str, code: str
) -> None:
    dataset = finisher.dataset()
    with database.session() as session:
        session.get_one(DatasetRow, dataset.id).state = state
    answer = client.post("/v1/estimates", json={"dataset_id": dataset.id, "budget": 5})
    assert (answer.status_code, answer.json()["code"]) == (409, code)


def test_what_no_job_could_do_is_422(client: TestClient, finisher: Finisher) -> None:
    dataset = finisher.dataset()
    answer = client.post("/v1/estimates", json={"dataset_id": dataset.id, "budget": 10_000_000})
    assert (answer.status_code, answer.json()["code"]) == (422, "budget_too_large")


def test_an_evaluation_without_held_out_users_is_422_as_in_a_job(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    dataset = finisher.dataset()
    with database.session() as session:
        row = session.get_one(DatasetRow, dataset.id)
        counts = {"valid": 0, "valid_users": 0, "test": 0, "test_users": 0}
        row.counts = {**(row.counts or {}), **counts}
    body = {
        "dataset_id": dataset.id,
        "budget": 5,
        "config": {"finetune": {}, "evaluation": {}},
    }
    for path in ("/v1/estimates", "/v1/jobs"):
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "no_held_out_users"), path
