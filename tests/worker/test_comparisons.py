"""Evaluations and comparisons, from HTTP through the worker to their reports."""

import contextlib
import json
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from fastapi.testclient import TestClient

from dealrec.app.settings import Settings
from dealrec.config.comparison import CONTROLS
from dealrec.config.runtime import Runtime
from dealrec.pipeline import compare
from dealrec.worker.checkpoints import PREFIX
from tests.worker.processes import stages_below

KEPT_BEFORE_THE_KILL = 3
UNLIKE = {
    "costs",
    "full_cost",
    "verdict",
    "findings",
    "p_value",
    "corrected_p_value",
    "level_p_value",
}
"""Figures of a report that name time, or that magnify rounding."""


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=database_url, torch_threads=1)


def config(model: str) -> dict[str, Any]:
    return {
        "prompt": {"history_items": 2},
        "effort": None,
        "surrogate": {"epochs": 1, "hidden_size": 8, "heads": 1, "layers": 1},
        "finetune": {
            "model": model,
            "learning_rate": 0.01,
            "checkpoint_steps": 1000,
            "lora": {"last_layers": 1},
        },
        "evaluation": {
            "users": 12,
            "ranking_users": 6,
            "candidates": 3,
            "beams": 1,
            "max_title_tokens": 2,
        },
    }


def comparison(model: str) -> dict[str, Any]:
    return {
        "budgets": [8],
        "selectors": ["influence", {"method": "stratified_random", "label": "<b>strata</b>"}],
        "seeds": 2,
        "full_data_runs": 0,
        "config": config(model),
    }


def finished(client: TestClient, job_id: str) -> dict[str, Any]:
    job: dict[str, Any] = client.get(f"/v1/jobs/{job_id}").json()
    assert job["state"] == "succeeded", job["error"]
    return job


def say_the_same(one: Any, other: Any) -> bool:
    """Whether reports agree on all but time.

    Up to rounding: a run that goes on reads fewer texts before it trains, and so other batches.
    """
    if isinstance(one, dict):
        shared = {name for name in one if name not in UNLIKE and not name.endswith("_seconds")}
        return one.keys() == other.keys() and all(
            say_the_same(one[name], other[name]) for name in shared
        )
    if isinstance(one, list):
        return len(one) == len(other) and all(map(say_the_same, one, other))
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-5)
    return bool(one == other)


def adapter_of_encoder_is_there(client: TestClient, job_id: str) -> None:
    """The job has an adapter with its projection, and it was measured over the catalogue."""
    job = finished(client, job_id)
    adapter = client.get(f"/v1/adapters/{job['adapter_id']}").json()
    assert "projection.safetensors" in {file["name"] for file in adapter["files"]}
    assert adapter["config"]["recommender"] == "encoder"
    assert job["evaluation"]["metrics"]["nll"] < job["evaluation"]["untrained"]["nll"]


class Killer(threading.Thread):
    """Kills the stage's process once it has kept some runs; ``kept`` is how long each had trained."""

    def __init__(self, checkpoints: Path) -> None:
        super().__init__(daemon=True)
        self.checkpoints = checkpoints
        self.kept: set[float] = set()

    def run(self) -> None:
        deadline = time.monotonic() + 120
        while len(self.kept) < KEPT_BEFORE_THE_KILL and time.monotonic() < deadline:
            time.sleep(0.005)
            with contextlib.suppress(FileNotFoundError):  # those of an earlier stage go
                files = [json.loads(path.read_text()) for path in self.checkpoints.rglob("*.json")]
                self.kept = {
                    file["finetune_seconds"] for file in files if "finetune_seconds" in file
                }
        for child in stages_below(psutil.Process()):
            child.kill()


def test_an_adapter_is_measured_and_a_comparison_uses_what_its_job_has_scored(
    client: TestClient,
    settings: Settings,
    run_all: Callable[[], None],
    source: Path,
    model: str,
    dataset_id: str,
    tmp_path: Path,
) -> None:
    body = {"dataset_id": dataset_id, "budget": 8, "config": config(model)}
    pruned = client.post("/v1/jobs", json=body).json()
    assert [stage["name"] for stage in pruned["stages"]][-3:] == ["select", "finetune", "evaluate"]
    assert pruned["evaluation"] is None
    run_all()
    pruned = finished(client, pruned["id"])
    evaluation = pruned["evaluation"]
    assert evaluation["split"] == "test"
    assert (evaluation["users"], evaluation["ranking_users"]) == (12, 6)
    assert set(evaluation["metrics"]) == set(evaluation["standard_errors"])
    assert evaluation["metrics"]["nll"] < evaluation["untrained"]["nll"]

    encoder = {"recommender": "encoder", "lora": {"last_layers": 0}, "epochs": 4}
    trained = client.post(
        f"/v1/coresets/{pruned['coreset_id']}/finetunes",
        json={**config(model)["finetune"], **encoder, "evaluation": config(model)["evaluation"]},
    ).json()["id"]
    asked = {"dataset_id": dataset_id, **comparison(model)}
    compared = client.post("/v1/comparisons", json=asked).json()["id"]
    killer = Killer(settings.data_dir / PREFIX)
    killer.start()
    run_all()
    killer.join()
    adapter_of_encoder_is_there(client, trained)
    job = finished(client, compared)
    stages = {stage["name"]: stage for stage in job["stages"]}
    assert stages["surrogate"]["runs"] == stages["influence"]["runs"] == {"done": 2, "total": 2}
    assert stages["compare"]["attempt"] == 2
    assert stages["compare"]["metrics"]["runs"] == 2 * (len(CONTROLS) + 2) + 2
    events = client.get(f"/v1/jobs/{compared}/events?limit=200").json()["data"]
    assert [event["kind"] for event in events].count("stage.died") == 1
    made = [
        (event["stage"], event["data"].get("run", 0), event["data"]["reused"])
        for event in events
        if event["kind"] == "stage.succeeded"
    ]
    assert sorted(made) == [
        ("compare", 0, False),
        *[(name, run, run == 0) for name in ("influence", "surrogate") for run in (0, 1)],
    ]

    report = client.get(f"/v1/jobs/{compared}/report?format=json").json()
    assert killer.kept <= {run["finetune_seconds"] for run in report["runs"]}
    expected = compare(
        source / "interactions.csv",
        items=source / "items.csv",
        config=comparison(model),
        out=tmp_path / "undisturbed",
        runtime=Runtime(threads=1),
    )
    assert say_the_same(report, expected.model_dump(mode="json"))
    (cost,) = (c for c in report["costs"] if (c["selector"], c["budget"]) == ("influence", 8))
    assert set(cost["stages"]) == {"surrogate", "influence"}
    assert min(cost["stages"].values()) > 0
    page = client.get(f"/v1/jobs/{compared}/report").text
    assert "&lt;b&gt;strata&lt;/b&gt;" in page and "<b>strata" not in page


def test_a_comparison_without_headroom_ends_before_the_language_model_scores_anything(
    client: TestClient, run_all: Callable[[], None], model: str, dataset_id: str
) -> None:
    encoder = {
        "model": model,
        "recommender": "encoder",
        "lora": {"last_layers": 0},
        "encoder": {"learning_rate": 1e-12},
    }
    asked = {
        "dataset_id": dataset_id,
        "budgets": [4],
        "selectors": ["effort"],
        "seeds": 2,
        "config": {
            **config(model),
            "effort": {"model": model, "parameters": "last_block"},
            "finetune": encoder,
            "evaluation": {"users": 12, "ranking_users": 0, "candidates": 3},
        },
    }
    made = client.post("/v1/comparisons", json=asked).json()["id"]
    run_all()
    job = finished(client, made)
    assert {stage["name"]: stage["state"] for stage in job["stages"]} == {
        "surrogate": "succeeded",
        "headroom": "succeeded",
        "influence": "skipped",
        "effort": "skipped",
        "compare": "succeeded",
    }
    events = client.get(f"/v1/jobs/{made}/events?limit=200").json()["data"]
    started = [event["stage"] for event in events if event["kind"] == "stage.running"]
    assert started == ["surrogate", "headroom", "compare"]
    assert "no_headroom" in {event["kind"] for event in events}
    report = client.get(f"/v1/jobs/{made}/report?format=json").json()
    assert report["stopped"]
    assert report["verdict"].startswith("This set-up does not teach the model to recommend")
