"""Who may ask, and what they see."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr

from dealrec.app.kit.database import Database
from dealrec.app.main import create_app
from dealrec.app.openapi.examples import EXAMPLES
from dealrec.app.settings import Settings
from tests.app.conftest import Finisher

IDS = (
    *("key_id", "dataset_id", "job_id", "coreset_id", "adapter_id", "upload_id", "webhook_id"),
    *("delivery_id", "schedule_id", "name", "number"),
)
OPEN = {"/healthz", "/readyz"}
LISTS = (
    "/v1/datasets",
    "/v1/jobs",
    "/v1/coresets",
    "/v1/adapters",
    "/v1/keys",
    "/v1/audit",
    "/v1/webhooks",
    "/v1/schedules",
)
QUERIES = {"sample_key": "u1", "against": "cs_x", "budgets": "5"}


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Every operation in the OpenAPI document."""
    return [
        (method.upper(), path)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    ]


def filled(path: str, ids: dict[str, str]) -> str:
    for name, value in ids.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path
    return path


def test_every_route_hides_another_tenants_things(
    app: FastAPI, make_client: Callable[..., TestClient], make_key, finisher: Finisher
) -> None:
    made = finisher.all(tenant="team-a")
    ids = {
        "dataset_id": made.dataset,
        "job_id": made.job,
        "coreset_id": made.coreset,
        "adapter_id": made.adapter,
        "webhook_id": made.webhook,
        "delivery_id": made.delivery,
        "name": "adapter_config.json",
        "number": "1",
    }
    owner, stranger = make_key("team-a"), make_key("team-b")
    with make_client() as client:
        upload = client.post("/v1/uploads", json={"filename": "a", "bytes": 1}, headers=owner)
        ids["upload_id"] = upload.json()["id"]
        order = dict(EXAMPLES["ScheduleCreate"]) | {"dataset_id": made.dataset}
        scheduled = client.post("/v1/schedules", json=order, headers=owner)
        ids["schedule_id"] = scheduled.json()["id"]
        ids["key_id"] = client.get("/v1/keys", headers=owner).json()["data"][0]["id"]
        secrets = {*ids.values()} - {"adapter_config.json", "1"}
        for method, path in routes(app):
            if "{" in path:
                body, _ = body_of_ids(app, method, path, ids)
                answer = client.request(
                    method, filled(path, ids), params=QUERIES, headers=stranger, json=body or {}
                )
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
            if "{" in path or path in OPEN:
                continue
            body, names = body_of_ids(app, method, path, ids)
            answer = client.request(method, path, headers=stranger, json=body)
            assert not [secret for secret in secrets if secret in answer.text] or names, path
            assert answer.status_code == 404 if names else answer.status_code < 500, path
        for path in LISTS:
            mine, theirs = (client.get(path, headers=key).json() for key in (stranger, owner))
            assert not {one["id"] for one in mine["data"]} & {one["id"] for one in theirs["data"]}
            assert theirs["data"], path
        assert client.get(f"/v1/coresets?job_id={made.job}", headers=stranger).status_code == 404
        assert client.get(f"/v1/jobs/{made.job}", headers=owner).status_code == 200


def body_of_ids(
    app: FastAPI, method: str, path: str, ids: dict[str, str]
) -> tuple[dict[str, Any] | None, bool]:
    """The documented example of the body with other ids in it, and whether it has any."""
    operation = app.openapi()["paths"][path][method.lower()]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None, False
    body = dict(EXAMPLES[content["schema"]["$ref"].rsplit("/", 1)[1]])
    named = {
        field: ids["upload_id" if field.endswith("upload_id") else field]
        for field in body
        if field.endswith("_id")
    }
    return body | named, bool(named)


def test_every_route_needs_the_key_before_the_body_is_read(
    app: FastAPI, make_client: Callable[..., TestClient], make_key
) -> None:
    make_key()
    ids = dict.fromkeys(IDS, "x")

    def never():
        yield pytest.fail("the body was read")

    with make_client() as client:
        for method, path in routes(app):
            if path in OPEN:
                continue
            content = never() if method in ("POST", "PUT") else None
            for headers in ({}, {"authorization": "Bearer dr_" + "x" * 43}):
                answer = client.request(method, filled(path, ids), headers=headers, content=content)
                assert answer.status_code == 401, path
                assert answer.headers["www-authenticate"] == "Bearer"
                assert answer.headers["content-type"] == "application/problem+json"
        assert client.get("/healthz").status_code == 200


def test_expired_and_revoked_keys_are_refused(
    make_client: Callable[..., TestClient], make_key, database: Database
) -> None:
    from sqlalchemy import update

    from dealrec.app.kit.database import database_now
    from dealrec.app.tables.keys import ApiKey

    with make_client() as client:
        for column in (ApiKey.expires_at, ApiKey.revoked_at):
            headers = make_key()
            assert client.get("/v1/jobs", headers=headers).status_code == 200
            with database.session() as session:
                session.execute(update(ApiKey).values({column: database_now(session)}))
            assert client.get("/v1/jobs", headers=headers).status_code == 401


def test_the_bootstrap_key_is_valid_from_the_start_and_kept_as_a_hash(
    settings: Settings, database: Database
) -> None:
    key = "dr_" + "b" * 43
    settings.bootstrap_key = SecretStr(key)
    for _ in range(2):
        with TestClient(create_app(settings)) as client:
            headers = {"authorization": f"Bearer {key}"}
            assert client.get("/v1/jobs", headers=headers).status_code == 200
            assert client.get("/v1/jobs").status_code == 401
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM api_keys").all()
    assert len(rows) == 1
    assert key not in str(rows)


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {"host": "localhost:8000"}, 200),
        ("10.0.0.7", {}, 403),
        ("127.0.0.1", {"host": "evil.example"}, 403),
        ("127.0.0.1", {"host": "127.0.0.1.evil.example"}, 403),
        ("127.0.0.1", {"origin": "http://evil.example"}, 200),
    ],
)
def test_without_keys_only_this_machine_is_answered(
    make_client: Callable[..., TestClient], peer, headers, status
) -> None:
    with make_client(client=(peer, 1234)) as client:
        answer = client.get("/v1/jobs", headers=headers)
        assert answer.status_code == status
        if "origin" in headers or status == 403:
            posted = client.post("/v1/jobs", headers=headers, json={})
            assert (posted.status_code, posted.json()["code"]) == (403, "loopback_only")
