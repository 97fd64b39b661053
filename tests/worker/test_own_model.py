"""A model that the operator brings, over HTTP: a folder in the catalogue, scores, an adapter, plain peft."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from dealrec.app.adapters import merging
from dealrec.app.settings import Settings
from dealrec.config.language_models import revision
from dealrec.errors import InputError
from dealrec.language_models.merging import answered
from dealrec.pipeline import prune
from dealrec.progress import SILENT, Reporter
from tests.dealrec.language_models.qwen import qwen_folder

CONFIG: dict[str, Any] = {
    "surrogate": {"epochs": 1, "hidden_size": 8, "heads": 1, "layers": 1},
    "prompt": {"format": "chat"},
    "effort": {"model": "my-qwen", "max_tokens": 256},
    "selection": {"method": "dealrec", "strata": 5},
    "finetune": {"model": "my-qwen", "epochs": 1, "batch_size": 4, "max_tokens": 256},
    "evaluation": {"users": 8, "candidates": 4, "ranking_users": 0},
}


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=database_url, torch_threads=1)


@pytest.fixture
def qwen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder ``my-qwen`` of the catalogue."""
    catalogue = tmp_path / "models.toml"
    catalogue.write_text("# ours\n[models.my-qwen]\nfolder = 'qwen'\nlicence = 'mit'\n")
    monkeypatch.setenv("DEALREC_MODELS", str(catalogue))
    return qwen_folder(tmp_path / "qwen")


def test_a_folder_of_the_catalogue_scores_and_is_trained_over_http(
    client: TestClient,
    run_all: Callable[[], None],
    dataset_id: str,
    qwen: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = {"dataset_id": dataset_id, "budget": 8, "config": CONFIG}
    posted = client.post("/v1/jobs", json=body).json()["id"]
    run_all()
    job = client.get(f"/v1/jobs/{posted}").json()
    assert job["state"] == "succeeded", job["error"]
    manifest = client.get(f"/v1/coresets/{job['coreset_id']}/manifest").json()
    assert manifest["stages"]["effort"]["model"] == "my-qwen"
    assert manifest["stages"]["effort"]["revision"] == revision("my-qwen") != "my-qwen"

    assert job["evaluation"]["metrics"]["nll"] > 0
    place = f"/v1/coresets/{job['coreset_id']}"
    lines = client.get(f"{place}/download?format=messages").text.splitlines()
    turns = [[turn["role"] for turn in json.loads(line)["messages"]] for line in lines]
    assert turns == [["user", "assistant"]] * 8

    content = client.get(f"/v1/adapters/{job['adapter_id']}/download").content
    zipfile.ZipFile(io.BytesIO(content)).extractall(tmp_path / "adapter")
    card = (tmp_path / "adapter" / "README.md").read_text()
    assert "license: mit" in card and str(tmp_path) not in card
    assert str(tmp_path) not in (tmp_path / "adapter" / "adapter_config.json").read_text()
    base = AutoModelForCausalLM.from_pretrained(qwen).eval()
    tokens = AutoTokenizer.from_pretrained(qwen)("a user chose", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        before = base(tokens).logits
        adapted = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
        after = adapted(tokens).logits
    assert {"q_proj", "v_proj"} == set(adapted.peft_config["default"].target_modules)
    assert not torch.equal(before, after) and torch.isfinite(after).all()

    monkeypatch.setattr(
        merging._MERGING,
        "answer",
        lambda request: answered(request.encode()).model_dump_json().encode(),
    )
    whole = client.get(f"/v1/adapters/{job['adapter_id']}/merged")
    zipfile.ZipFile(io.BytesIO(whole.content)).extractall(tmp_path / "merged")
    with torch.no_grad():
        merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()(tokens).logits
    torch.testing.assert_close(merged, after)
    curves = client.get(f"/console/jobs/{posted}/curves?stage=finetune").text
    assert curves.count("<svg") == 2 and "The loss of the samples goes from" in curves

    further = {**CONFIG["finetune"], "from_adapter": job["adapter_id"]}
    waits = client.post(f"{place}/finetunes", json=further).json()["id"]
    settings = qwen / "generation_config.json"
    before = settings.read_text()
    settings.write_text(json.dumps({"top_k": 3}))
    run_all()
    refused = client.get(f"/v1/jobs/{waits}").json()
    assert (refused["state"], refused["error"]["code"]) == ("failed", "model_changed")
    settings.write_text(before)
    client.post(f"/v1/jobs/{waits}/retry")
    run_all()
    trained = client.get(f"/v1/jobs/{waits}").json()
    assert trained["state"] == "succeeded", trained["error"]
    first, second = (
        client.get(f"/v1/adapters/{one['adapter_id']}").json() for one in (job, trained)
    )
    assert second["metrics"]["train_loss"] < first["metrics"]["train_loss"]

    again = client.post("/v1/jobs", json=body).json()["id"]
    run_all()
    stages = client.get(f"/v1/jobs/{again}").json()["stages"]
    assert all(stage["reused"] for stage in stages)
    settings.write_text(json.dumps({"top_k": 3}))
    changed = client.post("/v1/estimates", json=body).json()["stages"]
    reused = {stage["name"]: stage["reused"] for stage in changed}
    assert reused["surrogate"] and not reused["effort"] and not reused["finetune"]


def test_the_library_refuses_early_what_the_server_refuses(source: Path, qwen: Path) -> None:
    config = {**CONFIG, "finetune": {"model": "my-qwen", "lora": {"target_modules": ["c_attn"]}}}
    with pytest.raises(InputError) as refused:
        prune(source / "interactions.csv", budget=8, out=source / "out", config=config)
    assert refused.value.code == "unknown_target_modules"
    assert not (source / "out").exists()


def test_a_folder_that_changes_while_the_library_works_is_found_out(
    source: Path, qwen: Path
) -> None:
    def change(name: str) -> Reporter:
        if name == "effort":
            (qwen / "generation_config.json").write_text(json.dumps({"top_k": 3}))
        return SILENT

    config = {**CONFIG, "finetune": None, "evaluation": None}
    out = source / "out"
    with pytest.raises(InputError) as refused:
        prune(source / "interactions.csv", budget=8, out=out, config=config, stages=change)
    assert refused.value.code == "model_changed"
