"""Requests for jobs that go on from an earlier one."""

from typing import Any

from fastapi.testclient import TestClient

from dealrec.app.tables.jobs import JobRow
from tests.app.conftest import Finisher


def test_a_training_goes_on_from_the_adapter_of_the_earlier_job(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    body: dict[str, Any] = {
        "dataset_id": made.dataset,
        "budget": 5,
        "config": {"effort": None, "finetune": {}},
        "continue_from": made.job,
        "continuation": {"adapter": True},
    }
    lacking = client.post("/v1/jobs", json=body)
    assert (lacking.status_code, lacking.json()["code"]) == (422, "continuation_not_possible")
    with finisher.database.session() as session:
        session.get_one(JobRow, made.job).adapter_id = made.adapter
    job = client.post("/v1/jobs", json=body).json()
    assert job["config"]["finetune"]["from_adapter"] == made.adapter
    assert job["continuation"]["adapter"] is True
    other = client.post("/v1/jobs", json={**body, "continue_from": made.finetune})
    assert (other.status_code, other.json()["code"]) == (409, "continuation_not_possible")
    wider = {**body, "config": {**body["config"], "surrogate": {"hidden_size": 32}}}
    refused = client.post("/v1/jobs", json=wider).json()
    assert refused["code"] == "continuation_not_possible" and "now 32" in refused["detail"]
    how = {**body, "continue_from": None}
    assert client.post("/v1/jobs", json=how).status_code == 422
    estimate = client.post("/v1/estimates", json=body)
    assert estimate.status_code == 200, estimate.text
