"""Estimates of comparisons over HTTP."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.jobs import ArtifactRow
from dealrec.config.comparison import CONTROLS
from tests.app.conftest import Finisher, samples_of
from tests.app.estimates.test_endpoints import finish
from tests.app.jobs.test_comparisons import asked
from tests.app.jobs.test_comparisons import finish as leave_a_report

PATH = "/v1/estimates/comparison"
SECONDS = {
    "surrogate": 64.0,
    "headroom": 104.0,
    "influence": 24.0,
    "effort": 30.0,
    "compare": 404.0,
}


def compared(client: TestClient, body: dict[str, Any]) -> dict[str, Any]:
    """The estimate of the stage that trains and measures."""
    stages: list[dict[str, Any]] = client.post(PATH, json=body).json()["stages"]
    return stages[-1]


def test_every_training_is_counted_and_nothing_is_made(
    client: TestClient, finisher: Finisher
) -> None:
    body = asked(finisher.dataset())
    answer = client.post(PATH, json=body)
    assert answer.status_code == 200
    found = answer.json()
    assert found["trainings"] == 2 * 2 * (len(CONTROLS) + 1) + 3  # the controls were added
    assert [stage["name"] for stage in found["stages"]] == [
        "surrogate",
        "headroom",
        "influence",
        "effort",
        "compare",
    ]
    assert found["seconds"] == pytest.approx(sum(s["seconds"] for s in found["stages"]), abs=0.2)
    assert client.get("/v1/jobs").json()["data"] == []


@pytest.mark.parametrize(
    ("more", "longer"),
    [
        ({"budgets": [5, 0.5, 0.9]}, {"compare"}),
        ({"curve": [0.1, 0.9], "full_data_runs": 1}, {"compare"}),
        ({"full_data_runs": 3}, {"headroom"}),
        ({"scale": "full"}, {"headroom", "compare"}),
    ],
)
def test_more_trainings_take_longer_and_what_comes_before_does_not(
    client: TestClient, finisher: Finisher, more: dict[str, Any], longer: set[str]
) -> None:
    body = asked(finisher.dataset(), config={"effort": {"candidates": None}})
    less, found = (
        {stage["name"]: stage for stage in client.post(PATH, json=one).json()["stages"]}
        for one in (body, {**body, **more})
    )
    assert {name for name in less if found[name]["seconds"] > less[name]["seconds"]} == longer
    assert all(found[name] == less[name] for name in less.keys() - longer)


def test_what_every_run_draws_anew_is_estimated_for_every_run(
    client: TestClient, finisher: Finisher
) -> None:
    body = asked(finisher.dataset())
    two, four = (
        {stage["name"]: stage for stage in client.post(PATH, json=one).json()["stages"]}
        for one in (body, {**body, "seeds": 4})
    )
    assert [(two[name]["runs"], four[name]["runs"]) for name in SECONDS] == [
        *[(2, 4), (1, 1), (2, 4), (1, 1), (1, 1)],
    ]
    assert four["surrogate"]["seconds"] == pytest.approx(2 * two["surrogate"]["seconds"], abs=0.2)
    assert four["compare"]["seconds"] > two["compare"]["seconds"]


def test_the_largest_budget_is_named_as_it_was_asked_for(
    client: TestClient, finisher: Finisher
) -> None:
    dataset = finisher.dataset()
    found = client.post(PATH, json=asked(dataset, budgets=[5, 0.5, 7])).json()
    assert found["budget"] == {
        "requested": 0.5,
        "samples": samples_of(dataset) // 2,
    }


def test_a_finished_comparison_says_how_long_the_next_one_takes(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    body = asked(finisher.dataset())
    job = client.post("/v1/comparisons", json=body).json()
    finish(database, job["id"], SECONDS)
    again = {stage["name"]: stage for stage in client.post(PATH, json=body).json()["stages"]}
    seconds = {name: again[name]["seconds"] / again[name]["runs"] for name in SECONDS}
    assert seconds == pytest.approx(SECONDS, abs=0.2)
    assert again["compare"]["calibrated_on"] == {"basis": "finished_stages", "stages": 1}
    more = compared(client, {**body, "seeds": 4})
    assert 404 < more["seconds"] < 808
    unlike = compared(client, {**body, "scale": "full"})
    assert unlike["calibrated_on"] == {"basis": "reference", "stages": 0}


def test_a_comparison_teaches_the_estimates_of_jobs(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    dataset = finisher.dataset()
    job = client.post("/v1/comparisons", json=asked(dataset)).json()
    finish(database, job["id"], SECONDS)
    found = client.post("/v1/estimates", json={"dataset_id": dataset.id, "budget": 5}).json()
    surrogate = found["stages"][0]
    assert (surrogate["name"], surrogate["seconds"]) == ("surrogate", pytest.approx(64, abs=0.2))
    assert found["trainings"] is None


def test_the_latest_comparison_says_what_the_next_one_can_show(
    client: TestClient,
    finisher: Finisher,
    database: Database,
    storage: Storage,
    settings: Settings,
) -> None:
    body = asked(finisher.dataset())
    assert client.post(PATH, json=body).json()["detectable"] is None
    job = client.post("/v1/comparisons", json=body).json()["id"]
    leave_a_report(database, storage, settings, job)
    with database.session() as session:
        (artifact,) = session.query(ArtifactRow).filter_by(stage="compare")
        power = {"metric": "preference", "users": 300, "by_runs": {"2": 0.09, "4": 0.03}}
        artifact.details = {"power": power}
    found = client.post(PATH, json={**body, "seeds": 4}).json()["detectable"]
    assert found == {"metric": "preference", "runs": 4, "users": 300, "difference": 0.03}
    assert client.post(PATH, json={**body, "seeds": 30}).json()["detectable"] is None
