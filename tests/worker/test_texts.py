"""Texts without ids over HTTP and in the console, from the upload to the coreset."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

ROWS = [{"prompt": f"Row {at}?", "completion": " " + "ab" * (1 + at % 4)} for at in range(24)]
FILE = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def test_texts_become_a_coreset_over_http(
    client: TestClient, run_all: Callable[[], None], model: str
) -> None:
    config: dict[str, Any] = {"effort": {"model": model}}
    form = {"budget": "6", "config": json.dumps(config), "name": "chats"}
    posted = client.post("/v1/prune", data=form, files={"samples": ("texts.jsonl", FILE)})
    assert posted.status_code == 202, posted.text
    run_all()
    job = client.get(f"/v1/jobs/{posted.json()['id']}").json()
    assert job["state"] == "succeeded", job["error"]
    assert [stage["name"] for stage in job["stages"]] == ["effort", "select"]
    assert (job["config"]["selection"]["method"], job["name"]) == ("ccs", "chats · 6 samples · ccs")
    dataset = client.get(f"/v1/datasets/{job['dataset_id']}").json()
    assert (dataset["kind"], dataset["counts"]["samples_given"]) == ("texts", 24)

    scores = client.get(f"/v1/jobs/{job['id']}/scores").json()["data"]
    assert len(scores) == 24 and {row["influence"] for row in scores} == {None}
    refused = client.get(f"/v1/jobs/{job['id']}/scores/histogram?score=influence").json()
    assert refused["code"] == "no_sample_ids"
    place = f"/v1/coresets/{job['coreset_id']}"
    member = client.get(f"{place}/samples").json()["data"][0]
    assert (member["target"], member["influence"], member["history"]) == (None, None, [])
    points = client.get(f"/v1/jobs/{job['id']}/budget-sweep?budgets=3").json()["data"]
    assert points[0]["influence"] is None and points[0]["effort"]["mean"] > 0

    assert client.get(f"{place}/map").json()["code"] == "no_vectors"
    shape = client.get(f"/v1/datasets/{dataset['id']}/shape").json()
    assert shape["code"] == "no_sample_ids"

    again = f"/v1/jobs/{job['id']}/coresets"
    made = client.post(again, json={"budget": 4, "selection": {"method": "random"}})
    assert made.status_code == 201 and made.json()["size"] == 4, made.text
    refused = client.post(again, json={"selection": {"method": "influence"}}).json()
    assert refused["code"] == "no_sample_ids" and "`k_center`" in refused["detail"]
    further = client.post(again, json={"selection": {"method": "k_center"}}).json()
    assert further["config"]["embedding"]["source"] == "language_model"
    assert [stage["name"] for stage in further["stages"]] == ["effort", "embedding", "select"]
    client.post(f"/v1/jobs/{further['id']}/cancel")
    body = {"dataset_id": dataset["id"], "budgets": [4], "selectors": ["random"]}
    for path in ("/v1/comparisons", "/v1/estimates/comparison"):
        assert client.post(path, json=body).json()["code"] == "no_sample_ids"

    page = client.get(f"/console/datasets/{dataset['id']}").text
    assert "texts without ids of items" in page and "k_center" in page
    page = client.get(f"/console/coresets/{job['coreset_id']}").text
    assert "Search texts" in page and 'value="influence"' not in page
    plots = client.get(f"/console/coresets/{job['coreset_id']}/plots").text
    assert "Distribution of effort" in plots and "nfluence" not in plots
    assert (
        "Better than random?"
        not in client.get(f"/console/coresets/{job['coreset_id']}?tab=compare").text
    )
    found = client.get(f"/console/coresets/{job['coreset_id']}/samples?text=row+13").text
    assert found.count("sample-title") == 1
    form_page = client.get(f"/console/jobs/new?dataset_id={dataset['id']}").text
    assert '<option value="ccs" selected' in form_page


def test_a_job_that_needs_ids_is_refused_at_once_or_fails_when_the_data_are_known(
    client: TestClient, run_all: Callable[[], None]
) -> None:
    config = json.dumps({"selection": {"method": "dealrec"}})
    waits = client.post(
        "/v1/prune", data={"budget": "4", "config": config}, files={"samples": ("t.jsonl", FILE)}
    ).json()
    run_all()
    failed = client.get(f"/v1/jobs/{waits['id']}").json()
    assert (failed["state"], failed["error"]["code"]) == ("failed", "no_sample_ids")
    body = {"dataset_id": waits["dataset_id"], "budget": 4, "config": json.loads(config)}
    assert client.post("/v1/jobs", json=body).json()["code"] == "no_sample_ids"
    body["config"] = {"effort": None}
    made = client.post("/v1/jobs", json=body).json()
    assert made["config"]["selection"]["method"] == "random"
    run_all()
    job = client.get(f"/v1/jobs/{made['id']}").json()
    assert job["state"] == "succeeded", job["error"]
    assert [stage["name"] for stage in job["stages"]] == ["select"]
