"""The scopes of a key decide what it may do."""

from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from dealrec.app.gate.permissions import needed_scope
from dealrec.app.kit.caller import Scope
from dealrec.app.kit.database import Database
from tests.app.keys.test_access import IDS, OPEN, filled, routes

ADMINISTRATION = ("/v1/keys", "/v1/audit", "/v1/webhooks", "/v1/server", "/metrics")


def expected(method: str, path: str) -> str:
    if path.startswith(ADMINISTRATION) or (method != "GET" and path.startswith("/v1/models")):
        return "admin"
    asks = path.startswith("/v1/estimates") or path.endswith("/prompt-preview")
    return "read" if method == "GET" or asks else "write"


def test_every_route_asks_for_its_scope_and_for_no_other(
    app: FastAPI, make_client: Callable[..., TestClient], make_key
) -> None:
    ids = dict.fromkeys(IDS, "x")
    keys = {scope: make_key(scopes=[scope]) for scope in Scope}
    with make_client() as client:
        for method, path in routes(app):
            if path in OPEN:
                continue
            for scope, key in keys.items():
                answer = client.request(method, filled(path, ids), headers=key)
                if scope == expected(method, path):
                    assert answer.status_code != 403, (method, path)
                    continue
                problem = answer.json()
                assert (answer.status_code, problem["code"]) == (403, "scope_missing"), path
                assert problem["scope"] == expected(method, path)
                assert f"`{problem['scope']}`" in problem["detail"]


def test_the_consoles_pages_read_and_its_forms_write() -> None:
    assert needed_scope("GET", "/") is Scope.READ
    assert needed_scope("GET", "/console/jobs/new") is Scope.READ
    assert needed_scope("POST", "/console/jobs") is Scope.WRITE
    assert needed_scope("POST", "/console/jobs/job_x/delete") is Scope.WRITE
    assert needed_scope("POST", "/console/sign-out") is Scope.READ
    assert needed_scope("BREW", "/v1/jobs") is Scope.WRITE


def test_a_key_is_made_listed_and_revoked_over_http(
    make_client: Callable[..., TestClient], make_key, database: Database
) -> None:
    admin, other = make_key("team-a"), make_key("team-b")
    with make_client() as client:
        made = client.post(
            "/v1/keys",
            json={"name": " nightly ", "scopes": ["read"], "expires_days": 3},
            headers={**admin, "Idempotency-Key": "once"},
        )
        assert made.status_code == 201
        key = made.json()
        assert (key["name"], key["scopes"]) == ("nightly", ["read"])
        new = {"authorization": f"Bearer {key['key']}"}
        assert client.get("/v1/jobs", headers=new).status_code == 200
        assert client.post("/v1/keys", json={"name": "x"}, headers=new).status_code == 403
        listed = client.get("/v1/keys", headers=admin)
        assert key["id"] in [one["id"] for one in listed.json()["data"]]
        assert key["key"] not in listed.text
        assert client.delete(f"/v1/keys/{key['id']}", headers=other).status_code == 404
        for _ in range(2):
            assert client.delete(f"/v1/keys/{key['id']}", headers=admin).status_code == 204
        assert client.get("/v1/jobs", headers=new).status_code == 401
    with database.engine.connect() as connection:
        for table in ("api_keys", "audit_events", "idempotency_keys"):
            rows = connection.exec_driver_sql(f"SELECT * FROM {table}").all()
            assert key["key"] not in str(rows)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["root"]},
        {"name": "x", "expires_days": 0},
        {"name": "x", "tenant": "team-b"},
    ],
)
def test_a_key_that_cannot_be_is_refused(client: TestClient, body) -> None:
    assert client.post("/v1/keys", json=body).status_code == 422
    assert client.get("/v1/keys").json()["data"] == []
