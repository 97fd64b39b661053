"""Versions of a data set over HTTP: appended, validated alone, and readable when the one before is gone."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from safetensors.torch import load

from dealrec.app.settings import Settings
from dealrec.config import DataOptions
from dealrec.data.ingest import ingest
from tests.worker.makers import TINY, interactions


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=database_url, torch_threads=1)


LATER = "user_id,item_id,timestamp\nu1,i3,2000000\nu99,i40,900000\nu99,i3,2000000\nu99,i3,2000000\n"


def test_a_version_is_appended_validated_and_outlives_the_one_before(
    client: TestClient, run_all: Callable[[], None], tmp_path: Path
) -> None:
    def get(identifier: str) -> dict[str, Any]:
        found: dict[str, Any] = client.get(f"/v1/datasets/{identifier}").json()
        return found

    hook = client.post(
        "/v1/webhooks", json={"url": "https://1.1.1.1/", "events": ["dataset.ready"]}
    ).json()["id"]
    text = interactions()
    form = {"interactions": ("a.csv", text)}
    options = {"options": '{"user_core": 3, "split": "leave_one_out"}'}
    first = client.post("/v1/datasets", files=form, data=options).json()["id"]
    path = f"/v1/datasets/{first}/append"
    early = client.post(path, files={"interactions": ("b.csv", LATER)})
    assert (early.status_code, early.json()["code"]) == (409, "dataset_not_ready")
    run_all()
    made = client.post(path, files={"interactions": ("b.csv", LATER)})
    assert made.status_code == 201, made.text
    second = made.json()["id"]
    assert made.headers["location"] == f"/v1/datasets/{second}"
    refused = client.delete(f"/v1/datasets/{first}")
    assert (refused.status_code, refused.json()["dependents"][0]["id"]) == (409, second)
    run_all()
    more = LATER.replace("i40", "i5")
    other = more.replace("user_id,item_id,timestamp", "who,what,user_id")
    again = client.post(
        f"/v1/datasets/{second}/append",
        files={"interactions": ("c.csv", other)},
        data={"columns": '{"user_id": "who", "item_id": "what", "timestamp": "user_id"}'},
    )
    run_all()
    anew = client.post("/v1/datasets", json={"source_dataset_id": again.json()["id"]}).json()["id"]
    twice = client.post("/v1/datasets", json={"source_dataset_id": anew}).json()["id"]
    run_all()
    third = get(again.json()["id"])

    paths = [tmp_path / name for name in ("a.csv", "b.csv", "c.csv")]
    for path_, content in zip(paths, (text, LATER, more), strict=True):
        path_.write_text(content)
    asked = DataOptions.parse({**third["options"], "columns": {}}, location="")
    found = ingest(paths, options=asked, out=tmp_path / "whole")
    assert third["sha256"] == found.dataset.sha256
    for one in (anew, twice):  # each file of the three is read by its own names
        assert get(one)["sha256"] == third["sha256"], get(one)["error"]
    assert third["counts"]["users"] == 61  # the user of three rows was set aside before
    assert get(second)["counts"]["users"] == 60
    assert [third[name] for name in ("version", "parent_id", "parent_sha256")] == [
        3,
        second,
        get(second)["sha256"],
    ]
    assert third["drift"] == third["report"]["drift"]
    assert third["drift"]["popularity"] > 0 and get(first)["drift"] is None
    deliveries = f"/v1/webhooks/{hook}/deliveries"
    told = client.get(deliveries).json()["data"]
    assert [one["event"] for one in told] == ["dataset.ready"] * 5
    added = third["report"]["appended"]
    assert (added["interactions"], added["repeated"], added["late"]) == (1, 3, 1)

    for gone in (first, second):
        assert client.delete(f"/v1/datasets/{gone}").status_code == 204
    samples = client.get(f"/v1/datasets/{third['id']}/samples?limit=1")
    assert samples.status_code == 200
    assert [one["id"] for one in versions(client, third["id"])] == [third["id"]]
    lost = client.post("/v1/datasets", json={"source_dataset_id": third["id"]})
    assert (lost.status_code, lost.json()["code"]) == (409, "files_gone")


def versions(client: TestClient, identifier: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/v1/datasets/{identifier}/versions").json()["data"]
    return found


def test_a_job_goes_on_from_one_on_the_version_before_with_its_adapter(
    client: TestClient, run_all: Callable[[], None], model: str
) -> None:
    def made(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = client.post(path, json=body)
        assert answer.status_code in (201, 202), answer.text
        run_all()
        found: dict[str, Any] = client.get(answer.headers["location"]).json()
        assert found.get("state") in (None, "succeeded"), found["error"]
        return found

    first = client.post("/v1/datasets", files={"interactions": ("a.csv", interactions())}).json()
    version = f"/v1/datasets/{first['id']}/append"
    trained = {"model": model, "epochs": 1, "batch_size": 4, "max_tokens": 64}
    config = {**TINY, "finetune": {**trained, "learning_rate": 0.01}}
    body = {"dataset_id": first["id"], "budget": 10, "config": config}
    earlier = client.post("/v1/jobs", json=body).json()
    waits = {**body, "continue_from": earlier["id"]}
    early = client.post("/v1/jobs", json=waits)
    assert (early.status_code, early.json()["code"]) == (409, "continuation_not_possible")
    run_all()
    later = client.post(version, files={"interactions": ("b.csv", LATER)}).json()["id"]
    how = {"coreset": "top_up", "surrogate_epochs": 2, "adapter": True, "replay": 0.5}
    still = {**config, "finetune": {**trained, "learning_rate": 1e-9}}
    asked = {**waits, "dataset_id": later, "budget": 12, "continuation": how, "config": still}
    on = made("/v1/jobs", asked)
    assert (on["continue_from"], on["continuation"]["coreset"]) == (earlier["id"], "top_up")
    manifest = client.get(f"/v1/coresets/{on['coreset_id']}/manifest").json()["stages"]
    assert manifest["surrogate"]["epochs"] == 2
    assert manifest["surrogate"]["continued"]["items_kept"] == 30
    kept = manifest["select"]["continued"]
    assert (kept["members_before"], kept["members_kept"]) == (10, kept["members_there"])
    one, other = (client.get(f"/v1/jobs/{job['id']}").json() for job in (earlier, on))
    metrics = client.get(f"/v1/adapters/{other['adapter_id']}").json()["metrics"]
    assert metrics["new_samples"] == 12 - kept["members_kept"]
    assert metrics["replayed_samples"] == round(kept["members_kept"] / 2)
    weights = [
        client.get(f"/v1/adapters/{job['adapter_id']}/files/adapter_model.safetensors").content
        for job in (one, other)
    ]
    before, after = map(load, weights)
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, rtol=0, atol=1e-6)
    assert any(tensor.abs().sum() > 0 for name, tensor in before.items() if "lora_B" in name)

    stranger = client.post("/v1/datasets", files={"interactions": ("a.csv", LATER)}).json()["id"]
    refused = client.post("/v1/jobs", json={**waits, "dataset_id": stranger})
    assert (refused.status_code, refused.json()["code"]) == (422, "continuation_not_possible")
    assert f"`POST /v1/datasets/{first['id']}/append`" in refused.json()["detail"]
    client.delete(f"/v1/jobs/{earlier['id']}?cascade=true")
    assert client.get(f"/v1/jobs/{on['id']}").json()["continue_from"] == earlier["id"]
    assert client.post("/v1/jobs", json={**waits, "dataset_id": later}).status_code == 404
