"""Who did what."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import update

from dealrec.app.audit.repository import forget_old
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.audit import AuditRow
from dealrec.app.tables.jobs import JobRow
from dealrec.worker.sweeper import sweep
from tests.app.conftest import Finisher

Act = tuple[str, str, dict[str, Any], str]
"""Method, path, the rest of the request, and the action."""
NOT_KEPT = {
    "create_estimate",
    "create_comparison_estimate",
    "create_prompt_preview",
    "put_upload_part",
}
"""Routes that change nothing, and parts, of which a file has thousands."""


def trail(client: TestClient, **query: str) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = client.get("/v1/audit", params=query).json()["data"]
    return data


def test_every_operation_that_changes_something_leaves_who_did_it(
    app: FastAPI,
    make_client: Callable[..., TestClient],
    make_key,
    finisher: Finisher,
    csv: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEALREC_MODELS", str(tmp_path / "models.toml"))
    changing = {
        operation["operationId"]
        for item in app.openapi()["paths"].values()
        for method, operation in item.items()
        if method != "get"
    } - NOT_KEPT
    key = make_key()
    with make_client() as client:
        client.headers.update(key)
        for operation, (method, path, options, action) in acts(client, finisher, csv):
            request_id = f"test-{operation}"
            answer = client.request(method, path, headers={"x-request-id": request_id}, **options)
            assert answer.status_code < 300, (operation, answer.text)
            assert answer.headers["x-request-id"] == request_id
            ours = [one for one in trail(client) if one["request_id"] == request_id]
            assert action in [one["action"] for one in ours], operation
            assert all(one["actor"] == "key" and one["key_id"] for one in ours)
            changing.discard(operation)
    assert not changing, "these are not tried here"


def acts(client: TestClient, finisher: Finisher, csv: bytes) -> Iterator[tuple[str, Act]]:
    """Each operation that changes something: what is asked, and the action that it leaves."""
    made = finisher.all()
    form = {"files": {"interactions": ("a.csv", csv)}}
    yield "create_dataset", ("POST", "/v1/datasets", form, "dataset.create")
    append = f"/v1/datasets/{made.dataset}/append"
    yield "append_to_dataset", ("POST", append, form, "dataset.append")
    version = client.get("/v1/datasets").json()["data"][0]["id"]
    assert client.delete(f"/v1/datasets/{version}").status_code == 204
    budget = {"data": {"budget": "5"}}
    yield "prune", ("POST", "/v1/prune", form | budget, "dataset.create")
    yield "prune", ("POST", "/v1/prune", form | budget, "job.create")
    body = {"json": {"dataset_id": made.dataset, "budget": 5}}
    yield "create_job", ("POST", "/v1/jobs", body, "job.create")
    job = client.get("/v1/jobs").json()["data"][0]["id"]
    for verb in ("pause", "resume", "cancel"):
        yield f"{verb}_job", ("POST", f"/v1/jobs/{job}/{verb}", {}, f"job.{verb}")
    with finisher.database.session() as session:
        session.execute(update(JobRow).where(JobRow.id == job).values(state="failed"))
    yield "retry_job", ("POST", f"/v1/jobs/{job}/retry", {}, "job.retry")
    few = {"json": {"budget": 3}}
    yield "create_coreset", ("POST", f"/v1/jobs/{made.job}/coresets", few, "coreset.create")
    compared = {
        "dataset_id": made.dataset,
        "budgets": [5],
        "selectors": ["dealrec", "random"],
        "seeds": 2,
        "config": {"effort": None},
    }
    yield "create_comparison", ("POST", "/v1/comparisons", {"json": compared}, "job.create")
    client.post(f"/v1/jobs/{trail(client)[0]['object_id']}/cancel")
    for noun in ("dataset", "job", "coreset", "adapter"):
        place = f"/v1/{noun}s/{getattr(made, noun)}"
        yield f"rename_{noun}", ("PATCH", place, {"json": {"name": "spring"}}, f"{noun}.rename")
    path = f"/v1/coresets/{made.coreset}/finetunes"
    yield "create_finetune", ("POST", path, {"json": {}}, "job.create")
    client.post(f"/v1/jobs/{client.get('/v1/jobs').json()['data'][0]['id']}/cancel")
    yield "delete_adapter", ("DELETE", f"/v1/adapters/{made.adapter}", {}, "adapter.delete")
    path = f"/v1/coresets/{made.coreset}?cascade=true"
    yield "delete_coreset", ("DELETE", path, {}, "coreset.delete")
    yield "delete_job", ("DELETE", f"/v1/jobs/{made.job}?cascade=true", {}, "job.delete")
    client.post(f"/v1/jobs/{job}/cancel")
    path = f"/v1/datasets/{made.dataset}?cascade=true"
    yield "delete_dataset", ("DELETE", path, {}, "dataset.delete")
    announced = {"json": {"filename": "a", "bytes": 1}}
    yield "create_upload", ("POST", "/v1/uploads", announced, "upload.create")
    upload = f"/v1/uploads/{trail(client)[0]['object_id']}"
    client.put(f"{upload}/parts/1", content=b"x")
    yield "complete_upload", ("POST", f"{upload}/complete", {}, "upload.complete")
    yield "delete_upload", ("DELETE", upload, {}, "upload.delete")
    yield "create_key", ("POST", "/v1/keys", {"json": {"name": "x"}}, "key.create")
    new = trail(client)[0]["object_id"]
    yield "revoke_key", ("DELETE", f"/v1/keys/{new}", {}, "key.revoke")
    hook = {"json": {"url": "https://1.1.1.1/hooks"}}
    yield "create_webhook", ("POST", "/v1/webhooks", hook, "webhook.create")
    place = f"/v1/webhooks/{made.webhook}"
    yield "update_webhook", ("PATCH", place, {"json": {"active": False}}, "webhook.update")
    yield "rotate_webhook", ("POST", f"{place}/rotate", {}, "webhook.rotate")
    yield "ping_webhook", ("POST", f"{place}/ping", {}, "webhook_delivery.ping")
    again = f"{place}/deliveries/{made.delivery}/redeliver"
    yield "redeliver", ("POST", again, {}, "webhook_delivery.redeliver")
    yield "delete_webhook", ("DELETE", place, {}, "webhook.delete")
    again = finisher.dataset().id
    order = {"name": "x", "dataset_id": again, "trigger": {"kind": "on_version"}}
    asked = {"json": {**order, "job": {"budget": 5, "config": {"effort": None}}}}
    yield "create_schedule", ("POST", "/v1/schedules", asked, "schedule.create")
    place = f"/v1/schedules/{client.get('/v1/schedules').json()['data'][0]['id']}"
    yield "run_schedule", ("POST", f"{place}/run", {}, "schedule.run")
    yield "update_schedule", ("PATCH", place, {"json": {"active": False}}, "schedule.update")
    yield "delete_schedule", ("DELETE", place, {}, "schedule.delete")
    model = {"json": {"name": "hub", "repository": "Qwen/Qwen2.5-0.5B", "revision": "0" * 40}}
    yield "create_model", ("POST", "/v1/models", model, "model.create")
    yield "delete_model", ("DELETE", "/v1/models/hub", {}, "model.delete")


def test_an_act_that_fails_leaves_nothing(client: TestClient, finisher: Finisher) -> None:
    dataset = finisher.all().dataset
    assert client.delete(f"/v1/datasets/{dataset}").status_code == 409
    assert client.post("/v1/jobs", json={"dataset_id": dataset, "budget": 10**6}).status_code == 422
    assert trail(client) == []


def test_a_deletion_names_all_that_it_took_along(client: TestClient, finisher: Finisher) -> None:
    made = finisher.all()
    assert client.delete(f"/v1/datasets/{made.dataset}?cascade=true").status_code == 204
    assert {(one["action"], one["object_id"]) for one in trail(client)} == {
        ("dataset.delete", made.dataset),
        ("job.delete", made.job),
        ("job.delete", made.finetune),
        ("coreset.delete", made.coreset),
        ("adapter.delete", made.adapter),
    }
    assert {one["actor"] for one in trail(client)} == {"local"}
    assert len(trail(client, action="job.delete")) == 2
    assert len(trail(client, object_id=made.adapter)) == 1


def test_old_acts_are_swept(
    client: TestClient, database: Database, settings: Settings, storage: Storage
) -> None:
    for _ in range(2):
        client.post("/v1/uploads", json={"filename": "a", "bytes": 1})
    old, new = (one["id"] for one in trail(client))
    with database.session() as session:
        before = database_now(session) - timedelta(days=settings.audit_days + 1)
        session.execute(update(AuditRow).where(AuditRow.id == old).values(created_at=before))
    sweep(settings, database, storage)
    assert [one["id"] for one in trail(client)] == [new]
    with database.session() as session:
        forget_old(session, days=0)
    assert trail(client) == []
