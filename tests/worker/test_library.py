"""The library gives the very figures that a job gives over HTTP."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dealrec.app.settings import Settings
from dealrec.config.runtime import Runtime
from dealrec.pipeline import prune

OF_THE_MACHINE = {"environment", "peak_memory_bytes", "seconds", "tokens_per_second", "shards"}
"""Figures of the machines that ran the job. Only the worker splits effort into shards."""
BUDGET = 0.25


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=database_url, torch_threads=1)


def config(model: str) -> dict[str, Any]:
    return {
        "prompt": {"history_items": 3},
        "surrogate": {"epochs": 2, "hidden_size": 8, "heads": 1, "layers": 1, "ensemble": 2},
        "effort": {"model": model, "shard_samples": 25},
        "embedding": {"validation_samples": 20},
        "selection": {"method": "dealrec", "strata": 5},
        "finetune": {"model": model, "learning_rate": 0.01, "epochs": 2, "batch_size": 4},
        "evaluation": {"users": 12, "ranking_users": 6, "beams": 2, "max_title_tokens": 4},
    }


def without_machine(value: Any) -> Any:
    """``value`` without the figures of the machines, at any depth."""
    if isinstance(value, dict):
        kept = {name: one for name, one in value.items() if name not in OF_THE_MACHINE}
        return {name: without_machine(one) for name, one in kept.items()}
    return [without_machine(one) for one in value] if isinstance(value, list) else value


def test_the_library_gives_the_very_figures_that_a_job_gives_over_http(
    client: TestClient,
    run_all: Callable[[], None],
    source: Path,
    model: str,
    dataset_id: str,
    tmp_path: Path,
) -> None:
    body = {"dataset_id": dataset_id, "budget": BUDGET, "config": config(model)}
    posted = client.post("/v1/jobs", json=body).json()
    run_all()
    job = client.get(f"/v1/jobs/{posted['id']}").json()
    assert job["state"] == "succeeded", job["error"]

    result = prune(
        source / "interactions.csv",
        items=source / "items.csv",
        budget=BUDGET,
        out=tmp_path / "out",
        config=config(model),
        runtime=Runtime(threads=1),
    )

    coreset = f"/v1/coresets/{job['coreset_id']}"
    assert client.get(coreset).json()["sha256"] == result.coreset.sha256
    manifest = client.get(f"{coreset}/manifest").json()
    own = json.loads((result.folder / "manifest.json").read_text())
    assert without_machine(manifest) == without_machine(own)
    assert [one["stages"]["effort"]["shards"] for one in (manifest, own)] == [3, 1]
    assert job["evaluation"] == result.evaluation
    assert result.adapter is not None
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        served = client.get(f"/v1/adapters/{job['adapter_id']}/files/{name}")
        assert served.content == (result.adapter / name).read_bytes()
    assert job["config"] == result.config.model_dump(mode="json")
