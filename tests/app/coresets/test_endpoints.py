"""Coresets over HTTP."""

import hashlib
import io
import json
import zipfile

import pyarrow.parquet as pq
import pytest
import yaml
from fastapi.testclient import TestClient

from dealrec.app.kit.database import Database
from dealrec.app.tables.jobs import JobRow
from dealrec.config import PruneConfig, SelectionConfig
from dealrec.config.scales import FINETUNE, Scale
from tests.app.conftest import Finisher


def test_the_same_selection_again_is_the_same_coreset(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    answer = client.post(f"/v1/jobs/{made.job}/coresets", json={})
    assert answer.status_code == 201
    again, first = answer.json(), client.get(f"/v1/coresets/{made.coreset}").json()
    assert answer.headers["location"] == f"/v1/coresets/{again['id']}"
    for field in ("sha256", "size", "selection", "coverage", "job_id", "dataset_id"):
        assert again[field] == first[field]
    listed = client.get(f"/v1/coresets?job_id={made.job}").json()["data"]
    assert {entry["id"] for entry in listed} == {again["id"], made.coreset}


def test_another_budget_is_another_coreset_whose_hash_is_over_its_keys(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    body = {"budget": 0.5, "selection": {"strata": 3, "seed": 7}}
    coreset = client.post(f"/v1/jobs/{made.job}/coresets", json=body).json()
    assert coreset["size"] == 30
    assert (coreset["selection"]["strata"], coreset["selection"]["hard_prune"]) == (3, 0.1)
    assert sum(stratum["selected"] for stratum in coreset["coverage"]["strata"]) == 30
    page = client.get(f"/v1/coresets/{coreset['id']}/samples?limit=20").json()
    rest = client.get(f"/v1/coresets/{coreset['id']}/samples?after={page['next']}").json()
    keys = [sample["sample_key"] for sample in page["data"] + rest["data"]]
    assert len(set(keys)) == 30
    lines = sorted(json.dumps(key).encode() for key in keys)
    assert hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest() == coreset["sha256"]
    manifest = client.get(f"/v1/coresets/{coreset['id']}/manifest").json()
    assert manifest["sha256"] == coreset["sha256"]
    assert manifest["budget"] == {"requested": 0.5, "samples": 30}


BAD = {
    "budget": ({"budget": 61}, "budget_too_large"),
    "no effort": ({"selection": {"method": "dealrec", "effort_weight": 0.5}}, "no_effort_scores"),
    "effort alone": ({"selection": {"method": "effort"}}, "no_effort_scores"),
    "paper": ({"selection": {"method": "dealrec_paper"}}, "not_as_published"),
    "unknown": ({"selection": {"x": 1}}, "invalid_config"),
    "zero": ({"budget": 0}, "invalid_budget"),
}


@pytest.mark.parametrize(("body", "code"), BAD.values(), ids=BAD)
def test_a_bad_selection_gets_its_code(client: TestClient, finisher: Finisher, body, code) -> None:
    made = finisher.all()
    answer = client.post(f"/v1/jobs/{made.job}/coresets", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert len(client.get("/v1/coresets").json()["data"]) == 1


def test_a_selector_of_more_than_scores_starts_a_job(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    body = {"budget": 20, "selection": {"method": "herding"}}
    answer = client.post(f"/v1/jobs/{made.job}/coresets", json=body)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["kind"], job["state"], job["budget"]["samples"]) == ("select", "queued", 20)
    assert [stage["name"] for stage in job["stages"]] == [
        "surrogate",
        "influence",
        "embedding",
        "select",
    ]
    assert job["config"]["selection"]["method"] == "herding"
    assert client.get(f"/v1/jobs/{job['id']}").json()["kind"] == "select"
    assert len(client.get("/v1/coresets").json()["data"]) == 1


@pytest.mark.parametrize("method", ["random", "stratified_random", "influence"])
def test_selectors_of_scores_alone_select_at_once(
    client: TestClient, finisher: Finisher, method: str
) -> None:
    made = finisher.all()
    body = {"selection": {"method": method}}
    answer = client.post(f"/v1/jobs/{made.job}/coresets", json=body)
    assert answer.status_code == 201
    assert answer.json()["selection"]["method"] == method


def test_what_a_selector_took_from_the_training_does_not_stay_with_another(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    made = finisher.all()
    training = FINETUNE[Scale.CPU].model_copy(update={"epochs": 7, "model": "smollm2-360m"})
    config = {"finetune": training.model_dump(mode="json")}
    earlier = PruneConfig.parse(config).with_default_selector(can_aim=True)
    assert earlier.selection.training_epochs == 7
    with database.session() as session:
        session.get_one(JobRow, made.job).config = earlier.model_dump(mode="json")
    place = f"/v1/jobs/{made.job}/coresets"
    random, herding = (
        client.post(place, json={"selection": {"method": method}}).json()
        for method in ("random", "herding")
    )
    assert random["selection"]["training_epochs"] == SelectionConfig().training_epochs
    assert random["warnings"] == herding["warnings"] == []


def test_downloads_are_named_tagged_by_content_and_given_in_ranges(
    client: TestClient, finisher: Finisher
) -> None:
    base = f"/v1/coresets/{finisher.all().coreset}/download"
    answers = {name: client.get(base, params={"format": name}) for name in FORMATS}
    for name, answer in answers.items():
        assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
        assert answer.headers["content-disposition"].startswith("attachment; filename=")
        assert FORMATS[name](answer.content) == 12
    whole = answers["jsonl"].content
    part = client.get(base, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert client.get(base, params={"format": "pickle"}).status_code == 422


def count_lines(content: bytes) -> int:
    return len(content.splitlines())


FORMATS = {
    "jsonl": count_lines,
    "csv": lambda content: count_lines(content) - 1,
    "alpaca": lambda content: len(json.loads(content)),
    "sharegpt": lambda content: len(json.loads(content)),
    "messages": count_lines,
    "prompt_completion": count_lines,
    "conversational": count_lines,
    "parquet": lambda content: pq.read_table(io.BytesIO(content)).num_rows,
    "huggingface": lambda content: pq.read_table(io.BytesIO(unzipped(content)[SHARD])).num_rows,
}
SHARD = "data/train-00000-of-00001.parquet"


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_configurations_repeat_the_job_or_the_adapter_that_is_named(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    base = f"/v1/coresets/{made.coreset}/download?format=messages&configurations=true"
    answer = client.get(base)
    assert answer.headers["content-type"] == "application/zip"
    assert f"{made.coreset}.messages.zip" in answer.headers["content-disposition"]
    files = unzipped(answer.content)
    assert files["train.jsonl"] == client.get(base.partition("&")[0]).content
    named = unzipped(client.get(f"{base}&adapter_id={made.adapter}").content)
    ranks = [yaml.safe_load(each["axolotl.yaml"])["lora_r"] for each in (files, named)]
    assert ranks == [8, 3]
    assert client.get(f"{base}&adapter_id=ad_none").status_code == 404
    refused = client.get(base.replace("messages", "csv"))
    assert (refused.status_code, refused.json()["code"]) == (422, "no_configurations")


def test_fine_tuning_is_a_job_of_its_own(client: TestClient, finisher: Finisher) -> None:
    made = finisher.all()
    answer = client.post(f"/v1/coresets/{made.coreset}/finetunes", json={"lora": {"rank": 4}})
    assert answer.status_code == 202
    job = answer.json()
    assert (job["kind"], job["budget"], job["source_coreset_id"]) == (
        "finetune",
        None,
        made.coreset,
    )
    assert job["config"]["lora"]["rank"] == 4
    assert [stage["name"] for stage in job["stages"]] == ["finetune"]
    body = {"evaluation": {"users": 50}}
    measured = client.post(f"/v1/coresets/{made.coreset}/finetunes", json=body).json()
    assert [stage["name"] for stage in measured["stages"]] == ["finetune", "evaluate"]
    assert measured["config"]["evaluation"]["users"] == 50
    seen = client.post(
        f"/v1/coresets/{made.coreset}/finetunes", json={"evaluation": {"split": "valid"}}
    )
    assert (seen.status_code, seen.json()["code"]) == (422, "answers_aimed_at")
    unknown = client.post(f"/v1/coresets/{made.coreset}/finetunes", json={"model": "x"})
    assert unknown.json()["code"] == "unknown_model"


def test_a_coreset_with_adapters_is_in_use_until_cascade(
    client: TestClient, finisher: Finisher
) -> None:
    made = finisher.all()
    refused = client.delete(f"/v1/coresets/{made.coreset}")
    assert (refused.status_code, refused.json()["dependents"]) == (
        409,
        [{"object": "job", "id": made.finetune}],
    )
    assert client.delete(f"/v1/coresets/{made.coreset}?cascade=true").status_code == 204
    assert client.get(f"/v1/jobs/{made.job}").json()["coreset_id"] is None
    assert client.get(f"/v1/adapters/{made.adapter}").status_code == 404
    again = client.post(f"/v1/jobs/{made.job}/coresets", json={})
    assert again.status_code == 201
