"""Old clients go on working: against the snapshot, and the judge itself against known changes."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI

from tests.contract.__main__ import SNAPSHOT
from tests.contract.compatibility import breaking_changes

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def snapshot() -> dict[str, Any]:
    return json.loads(SNAPSHOT.read_text())


def test_nothing_breaks_clients_of_the_snapshot(app: FastAPI, snapshot: dict[str, Any]) -> None:
    assert breaking_changes(snapshot, app.openapi()) == []


def schemas(document: dict[str, Any], name: str) -> dict[str, Any]:
    return document["components"]["schemas"][name]


def jobs(document: dict[str, Any]) -> dict[str, Any]:
    return document["paths"]["/v1/jobs"]


BREAKS: dict[str, Change] = {
    "a path is gone": lambda d: d["paths"].pop("/v1/jobs/{job_id}"),
    "a method is gone": lambda d: jobs(d).pop("post"),
    "an operation has another id": lambda d: jobs(d)["get"].update(operationId="jobs"),
    "a query parameter is gone": lambda d: jobs(d)["get"]["parameters"].pop(),
    "a new parameter is required": lambda d: jobs(d)["get"]["parameters"].append(
        {"name": "team", "in": "query", "required": True, "schema": {"type": "string"}}
    ),
    "a parameter's range is narrower": lambda d: next(
        p for p in jobs(d)["get"]["parameters"] if p["name"] == "limit"
    )["schema"].update(maximum=100),
    "a field of an answer is gone": lambda d: schemas(d, "Job")["properties"].pop("eta_seconds"),
    "a field of an answer may be missing": lambda d: schemas(d, "Job")["required"].remove("id"),
    "a field of an answer has another type": lambda d: schemas(d, "Coreset")["properties"][
        "size"
    ].update(type="string"),
    "a field of an answer may be null": lambda d: schemas(d, "Coreset")["properties"].update(
        size={"anyOf": [{"type": "integer"}, {"type": "null"}]}
    ),
    "a field of a request is gone": lambda d: schemas(d, "JobCreate")["properties"].pop("metadata"),
    "a new field of a request is required": lambda d: (
        schemas(d, "JobCreate")["properties"].update(team={"type": "string"}),
        schemas(d, "JobCreate")["required"].append("team"),
    ),
    "a field of a request became required": lambda d: schemas(d, "JobCreate")["required"].append(
        "metadata"
    ),
    "a type of a request is narrower": lambda d: schemas(d, "JobCreate")["properties"].update(
        budget={"type": "integer"}
    ),
    "an enum of a request lost a value": lambda d: schemas(d, "SelectionMethod")["enum"].pop(),
    "a request's text must be shorter": lambda d: schemas(d, "UploadCreate")["properties"][
        "filename"
    ].update(maxLength=10),
    "a form lost a field": lambda d: d["paths"]["/v1/prune"]["post"]["requestBody"]["content"][
        "multipart/form-data"
    ]["schema"]["properties"].pop("config"),
    "an answer's status is gone": lambda d: jobs(d)["post"]["responses"].pop("202"),
    "an answer's media type is gone": lambda d: jobs(d)["get"]["responses"]["200"]["content"].pop(
        "application/json"
    ),
}
ADDITIONS: dict[str, Change] = {
    "a new path": lambda d: d["paths"].update({"/v1/new": copy.deepcopy(jobs(d))}),
    "a new optional parameter": lambda d: jobs(d)["get"]["parameters"].append(
        {"name": "team", "in": "query", "schema": {"type": "string"}}
    ),
    "a new optional field of a request": lambda d: schemas(d, "JobCreate")["properties"].update(
        team={"type": "string"}
    ),
    "a required field of a request became optional": lambda d: schemas(d, "JobCreate")[
        "required"
    ].remove("dataset_id"),
    "a new field of an answer": lambda d: schemas(d, "Job")["properties"].update(
        team={"type": "string"}
    ),
    "a new value of an enum": lambda d: schemas(d, "SelectionMethod")["enum"].append("newest"),
    "a wider type of a request": lambda d: schemas(d, "UploadCreate")["properties"].update(
        bytes={"anyOf": [{"type": "number"}, {"type": "null"}]}
    ),
    "an answer that is never null": lambda d: schemas(d, "Job")["properties"].update(
        eta_seconds={"type": "number"}
    ),
    "a new status": lambda d: jobs(d)["get"]["responses"].update({"410": {"description": "Gone"}}),
    "other words": lambda d: schemas(d, "Job").update(description="A job."),
}


@pytest.mark.parametrize("name", BREAKS)
def test_the_judge_finds_a_break(snapshot: dict[str, Any], name: str) -> None:
    changed = copy.deepcopy(snapshot)
    BREAKS[name](changed)
    assert breaking_changes(snapshot, changed)


@pytest.mark.parametrize("name", ADDITIONS)
def test_the_judge_lets_an_addition_pass(snapshot: dict[str, Any], name: str) -> None:
    changed = copy.deepcopy(snapshot)
    ADDITIONS[name](changed)
    assert breaking_changes(snapshot, changed) == []
