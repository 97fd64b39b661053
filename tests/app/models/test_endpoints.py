"""The catalogue of language models over HTTP: who sees what, who changes it, and what a job may ask."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dealrec.app.jobs.pace import START_SECONDS
from dealrec.app.kit.caller import Scope
from dealrec.app.kit.context import Context
from dealrec.app.settings import Settings
from dealrec.config.catalogue import catalogue, keep_measured
from dealrec.config.language_models import revision
from tests.app.conftest import Finisher
from tests.dealrec.config.model_heads import safetensors_folder
from tests.dealrec.config.test_catalogue import COMMIT, figures

Headers = Callable[..., dict[str, str]]
HUB = {"name": "hub", "repository": "Qwen/Qwen2.5-0.5B", "revision": COMMIT}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "models.toml"
    safetensors_folder(tmp_path / "mine")
    path.write_text(
        "[models.mine]\nfolder = 'mine'\nlicence = 'mit'\n"
        "[models.theirs]\nfolder = 'mine'\ntenants = ['other']\n"
        "[models.gone]\nfolder = 'gone'\n"
    )
    monkeypatch.setenv("DEALREC_MODELS", str(path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return path


def test_the_list_says_what_there_is_and_whether_it_is_here(client: TestClient) -> None:
    found = {one["name"]: one for one in client.get("/v1/models").json()["data"]}
    assert list(found) == ["smollm2-135m", "mine", "gone"]
    mine = found["mine"]
    assert (mine["available"], mine["architecture"], mine["licence"]) == (True, "qwen3", "mit")
    assert mine["parameters"] > 0 and mine["bytes"] > 0 and len(mine["revision"]) == 64
    assert (mine["source"], mine["measured"]) == ("folder", [])
    gone = found["gone"]
    assert (gone["available"], gone["reason"]) == (False, "there is no such folder")
    assert (mine["state"], gone["state"]) == ("ready", "unusable")
    assert (gone["parameters"], gone["bytes"], gone["revision"]) == (0, None, "")
    assert found["smollm2-135m"]["parameters"] == 134_515_008
    assert client.get("/v1/models/mine").json() == mine
    assert client.get("/v1/models/nothing").status_code == 404


def test_a_tenant_neither_sees_nor_names_a_model_of_others(
    client: TestClient, make_key: Headers, finisher: Finisher
) -> None:
    dataset, own, other = finisher.dataset(), make_key(), make_key("other")
    assert client.get("/v1/models/theirs", headers=other).status_code == 200
    assert client.get("/v1/models/theirs", headers=own).status_code == 404
    names = [one["name"] for one in client.get("/v1/models", headers=own).json()["data"]]
    assert "theirs" not in names
    body = {"dataset_id": dataset.id, "budget": 5, "config": {"effort": {"model": "theirs"}}}
    for path in ("/v1/jobs", "/v1/estimates"):
        refused = client.post(path, json=body, headers=own).json()
        assert refused["code"] == "unknown_model" and "theirs," not in refused["detail"]


def test_an_administrator_adds_a_repository_for_the_tenant_and_removes_it(
    client: TestClient, make_key: Headers, file: Path
) -> None:
    admin, other = make_key(), make_key("other")
    made = client.post("/v1/models", json={**HUB, "dtype": "bfloat16"}, headers=admin)
    assert (made.status_code, made.headers["location"]) == (201, "/v1/models/hub")
    assert (made.json()["state"], made.json()["revision"]) == ("not_pulled", COMMIT)
    assert "run `dealrec models pull hub`" in made.json()["reason"]
    assert client.get("/v1/models/hub", headers=admin).json() == made.json()
    entry = catalogue()["hub"]
    assert (entry.tenants, entry.dtype) == (("default",), "bfloat16")
    assert "[models.mine]" in file.read_text()
    again = client.post("/v1/models", json=HUB, headers=other)
    assert (again.status_code, again.json()["code"]) == (409, "model_exists")
    assert client.delete("/v1/models/hub", headers=other).status_code == 404
    assert client.delete("/v1/models/hub", headers=admin).status_code == 204
    assert "hub" not in catalogue()
    trail = client.get("/v1/audit", headers=admin).json()["data"]
    assert {"model.create", "model.delete"} <= {one["action"] for one in trail}


def test_catalogue_and_database_change_together_or_not_at_all(
    client: TestClient, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = file.read_text()

    def unlucky(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(Context, "audit", unlucky)
        assert client.post("/v1/models", json=HUB).status_code == 500
    assert file.read_text() == before
    once = {"Idempotency-Key": "once"}
    made = client.post("/v1/models", json=HUB, headers=once)
    assert client.post("/v1/models", json=HUB, headers=once).json() == made.json()
    added = file.read_text()
    with monkeypatch.context() as broken:
        broken.setattr(Context, "audit", unlucky)
        assert client.delete("/v1/models/hub").status_code == 500
    assert file.read_text() == added
    assert [path.name for path in file.parent.glob(".models.toml.*.part")] == []


def test_only_administrators_change_the_catalogue(client: TestClient, make_key: Headers) -> None:
    plain = make_key(scopes={Scope.READ, Scope.WRITE})
    assert client.post("/v1/models", json=HUB, headers=plain).status_code == 403
    assert client.delete("/v1/models/mine", headers=plain).status_code == 403
    assert client.get("/v1/models", headers=plain).status_code == 200
    admin = make_key()
    for name in ("mine", "smollm2-135m"):
        refused = client.delete(f"/v1/models/{name}", headers=admin)
        assert (refused.status_code, refused.json()["code"]) == (403, "not_yours")


@pytest.mark.parametrize(
    "change",
    [
        {"repository": "/etc"},
        {"repository": "../x"},
        {"repository": "https://hub/x"},
        {"name": "../x"},
        {"name": "a/b"},
        {"revision": "main"},
        {"folder": "/etc"},
        {"gguf": "/etc/passwd"},
        {"package": "numpy"},
        {"tenants": ["other"]},
        {"trust_remote_code": True},
        {"file": "../x.gguf"},
        {"file": "x.bin"},
    ],
)
def test_over_http_a_model_is_a_pinned_repository_and_never_a_path(client, change) -> None:
    assert client.post("/v1/models", json={**HUB, **change}).status_code == 422
    assert "hub" not in catalogue()


BAD: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "layers": (
        {},
        {"finetune": {"model": "bad", "lora": {"target_modules": ["c_attn"]}}},
        "unknown_target_modules",
    ),
    "family": (
        {"config": {"model_type": "bert", "architectures": ["BertForMaskedLM"]}},
        {"effort": {"model": "bad"}},
        "model_not_supported",
    ),
    "tokens": ({"tokens": 60}, {"effort": {"model": "bad"}}, "tokenizer_does_not_fit"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_work_is_refused_when_it_is_asked_for(
    client: TestClient, finisher: Finisher, file: Path, tmp_path: Path, name: str
) -> None:
    folder, config, code = BAD[name]
    safetensors_folder(tmp_path / "bad", **folder)
    file.write_text("[models.bad]\nfolder = 'bad'\n")
    body = {"dataset_id": finisher.dataset().id, "budget": 5, "config": config}
    for path in ("/v1/jobs", "/v1/estimates"):
        answer = client.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert str(tmp_path) not in answer.text
    assert client.get("/v1/jobs").json()["data"] == []


@pytest.mark.parametrize("model", ["gone", "hub"])
def test_a_model_that_is_not_here_is_refused_where_the_worker_is_here(
    client: TestClient, finisher: Finisher, model: str
) -> None:
    client.post("/v1/models", json=HUB)
    body = {
        "dataset_id": finisher.dataset().id,
        "budget": 5,
        "config": {"effort": {"model": model}},
    }
    answer = client.post("/v1/jobs", json=body).json()
    assert answer["code"] == "model_not_available"
    assert (
        model == "gone"
        or "not been downloaded yet: run `dealrec models pull hub`" in answer["detail"]
    )


def test_a_stage_may_not_take_the_memory_that_a_model_needs(
    client: TestClient, finisher: Finisher, app: Any, settings: Settings
) -> None:
    small = settings.model_copy(update={"stage_memory_bytes": 1000, "device": "cpu"})
    app.state.settings = small
    body = {
        "dataset_id": finisher.dataset().id,
        "budget": 5,
        "config": {"effort": {"model": "mine"}},
    }
    answer = client.post("/v1/jobs", json=body).json()
    assert answer["code"] == "not_enough_memory" and "a stage may take" in answer["detail"]


def test_estimates_use_what_was_measured(client: TestClient, finisher: Finisher) -> None:
    dataset = finisher.dataset()
    config = {"effort": {"model": "mine"}, "finetune": {"model": "mine"}, "evaluation": {}}
    body = {"dataset_id": dataset.id, "budget": 10, "config": config}

    def stages() -> dict[str, Any]:
        found = client.post("/v1/estimates", json=body).json()
        return {stage["name"]: stage for stage in found["stages"]}

    assert stages()["effort"]["calibrated_on"]["basis"] == "reference"
    keep_measured("mine", figures(revision("mine") or "", "cpu", 0.5))
    after = stages()
    assert after["effort"]["calibrated_on"] == {"basis": "checked_model", "stages": 0}
    samples = client.get(f"/v1/datasets/{dataset.id}").json()["counts"]["samples_per_user"]
    # 100 tokens a sample, 1 s of effort and 1.5 s of training a thousand tokens
    assert after["effort"]["seconds"] == pytest.approx(START_SECONDS + 0.1 * samples, abs=0.1)
    assert after["finetune"]["seconds"] == pytest.approx(START_SECONDS + 0.15 * 10, abs=0.1)
    assert after["effort"]["peak_memory_bytes"] == 10**9
    assert after["surrogate"]["calibrated_on"]["basis"] == "reference"


def test_the_console_shows_the_models_and_offers_them(
    client: TestClient, finisher: Finisher
) -> None:
    finisher.dataset()
    page = client.get("/console/models")
    assert page.status_code == 200 and "there is no such folder" in page.text
    form = client.get("/console/jobs/new").text
    for name, there in (("mine", True), ("theirs", False)):
        assert (f'<option value="{name}"' in form) is there
    assert "theirs" not in page.text


def test_a_broken_catalogue_is_said_and_serves_nobody(client: TestClient, file: Path) -> None:
    file.write_text("[models.mine]\nfolders = 'x'\n")
    answer = client.get("/v1/models")
    assert (answer.status_code, answer.json()["code"]) == (500, "invalid_catalogue")
    assert "models.mine.folders" in answer.json()["detail"]
