"""Comparisons that are refused."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dealrec.app.kit.database import Database
from dealrec.app.tables.datasets import DatasetRow
from tests.app.conftest import Finisher
from tests.app.jobs.test_comparisons import asked


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough: nothing is kept of what is refused."""
    return sqlite_url


MAKING_OR_ESTIMATING = ("/v1/comparisons", "/v1/estimates/comparison")

BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "no budget": ({"budgets": []}, "invalid_budget", "budgets"),
    "budget 0": ({"budgets": [5, 0]}, "invalid_budget", "budgets.1"),
    "budget true": ({"budgets": [True, 5]}, "invalid_budget", "budgets.0"),
    "budget above": ({"budgets": [5, 10_000]}, "budget_too_large", "budgets.1"),
    "budget twice": ({"budgets": [5, 0.5, 5]}, "invalid_budget", "budgets.2"),
    "unknown selector": ({"selectors": ["random", "best"]}, "invalid_config", "selectors.1.method"),
    "import path": ({"selectors": ["os:system"]}, "invalid_config", "selectors.0.method"),
    "unknown option": (
        {"selectors": [{"method": "dealrec", "selection": {"x": 1}}]},
        "invalid_config",
        "selectors.0.selection.x",
    ),
    "bad option": (
        {"selectors": ["random", {"method": "dealrec", "selection": {"strata": 0}}]},
        "invalid_config",
        "selectors.1.selection.strata",
    ),
    "two of one label": ({"selectors": ["dealrec", "dealrec"]}, "invalid_config", "selectors"),
    "NUL": (
        {"selectors": [{"method": "dealrec", "label": "\0"}]},
        "invalid_text",
        "selectors.0.label",
    ),
    "too many": ({"seeds": 167}, "comparison_too_large", "seeds"),
    "one seed": ({"seeds": 1}, "invalid_request", "seeds"),
    "effort left out": (
        {"selectors": ["effort"], "config": {"effort": None}},
        "invalid_request",
        "body",
    ),
    "unknown": ({"x": 1}, "invalid_request", "x"),
    "unknown in config": ({"config": {"x": 1}}, "invalid_config", "config.x"),
    "model": (
        {"config": {"finetune": {"model": "/etc"}}},
        "unknown_model",
        "config.finetune.model",
    ),
    "adapter": (
        {"config": {"effort": {"parameters": "lora", "adapter": "/etc"}}},
        "invalid_config",
        "config.effort.adapter",
    ),
    "surrogate": (
        {"config": {"surrogate": {"model": "os.path:join"}}},
        "invalid_config",
        "config.surrogate.model",
    ),
}


@pytest.mark.parametrize(("change", "code", "location"), BAD.values(), ids=BAD)
def test_a_bad_comparison_gets_its_code_and_leaves_nothing(
    client: TestClient, finisher: Finisher, change: dict[str, Any], code: str, location: str
) -> None:
    body = json.dumps(asked(finisher.dataset(), **change))
    headers = {"content-type": "application/json"}
    for path in MAKING_OR_ESTIMATING:
        answer = client.post(path, content=body, headers=headers)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (422, code)
        assert problem["errors"][0]["location"] == location
    assert client.get("/v1/jobs").json()["data"] == []


NEEDS_SPLITS = {
    "validation": ({"selectors": ["influence", "gradient_match"]}, "no_validation_split"),
    "the target": ({"config": {"influence": {"target": "validation"}}}, "no_validation_split"),
    "held-out users": ({}, "no_held_out_users"),
}


@pytest.mark.parametrize(("change", "code"), NEEDS_SPLITS.values(), ids=NEEDS_SPLITS)
def test_what_looks_at_a_split_that_is_not_there_is_named(
    client: TestClient, finisher: Finisher, database: Database, change: dict[str, Any], code: str
) -> None:
    dataset = finisher.dataset()
    test = 10 if code == "no_validation_split" else 0
    with database.session() as session:
        row = session.get_one(DatasetRow, dataset.id)
        counts = {"valid": 0, "valid_users": 0, "test": test, "test_users": test}
        row.counts = {**(row.counts or {}), **counts}
    for path in MAKING_OR_ESTIMATING:
        problem = client.post(path, json=asked(dataset, **change)).json()
        assert (problem["status"], problem["code"]) == (422, code)
        named = "`gradient_match`" if "selectors" in change else ""
        assert named in problem["detail"]
        assert problem["errors"]
