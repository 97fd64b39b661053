"""Signing in with a key, and the page of keys."""

from collections.abc import Callable

from fastapi.testclient import TestClient

from dealrec.app.kit.caller import Scope
from tests.app.conftest import Finisher
from tests.app.console.test_pages import found_in, token, token_of

KEY_COOKIE = "dealrec_key"


def test_a_browser_signs_in_with_a_key_sees_its_tenant_and_signs_out(
    client: TestClient, make_key: Callable[..., dict[str, str]], finisher: Finisher
) -> None:
    made = finisher.all("theirs")
    key = make_key("ours")["authorization"].removeprefix("Bearer ")
    asked = client.get("/console/jobs", follow_redirects=False)
    assert asked.status_code == 303
    assert asked.headers["location"] == "/console/sign-in?next=/console/jobs"
    page = client.get(asked.headers["location"]).text
    csrf = token_of(page)
    wrong = client.post("/console/sign-in", data={"key": f"dr_{'x' * 30}", "csrf": csrf})
    assert wrong.status_code == 401 and KEY_COOKIE not in client.cookies
    form = {"key": key, "csrf": csrf, "next": "//elsewhere.example/"}
    right = client.post("/console/sign-in", data=form, follow_redirects=False)
    assert right.headers["location"] == "/"
    cookie = right.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert client.get("/console/jobs").status_code == 200
    assert client.get("/v1/jobs").status_code == 200
    for path in (
        f"/console/datasets/{made.dataset}",
        f"/console/jobs/{made.job}",
        f"/console/jobs/{made.job}/plots",
        f"/console/coresets/{made.coreset}",
        f"/console/adapters/{made.adapter}",
    ):
        assert client.get(path).status_code == 404
    client.post("/console/sign-out", data={"csrf": csrf})
    assert client.get("/console/jobs", follow_redirects=False).status_code == 303


def test_the_cookie_alone_changes_nothing_through_the_api(
    client: TestClient, make_key: Callable[..., dict[str, str]], csv: bytes
) -> None:
    client.cookies.set(KEY_COOKIE, make_key()["authorization"].removeprefix("Bearer "))
    csrf = token(client)
    files = {"interactions": ("x.csv", csv)}
    assert client.post("/v1/datasets", files=files).status_code == 401
    sent = client.post("/v1/datasets", files=files, headers={"x-csrf-token": csrf})
    assert sent.status_code == 201


def test_the_first_key_is_an_administrators_and_signs_its_browser_in(client: TestClient) -> None:
    page = client.get("/console/keys").text
    assert page.count(" checked") == len(Scope)
    form = {"csrf": token_of(page), "name": "mine", "scope.read": "1", "scope.write": "1"}
    refused = client.post("/console/keys", data=form)
    assert refused.status_code == 422 and "must contain <code>admin</code>" in refused.text
    assert client.post("/v1/keys", json={"name": "x", "scopes": ["read"]}).status_code == 422
    made = client.post("/console/keys", data={**form, "scope.admin": "1"})
    key = found_in(made.text, r"(dr_[A-Za-z0-9_-]{20,})")
    assert client.cookies[KEY_COOKIE] == key and "data-copy" in made.text
    assert client.get("/console/keys", follow_redirects=False).status_code == 200


def test_the_page_of_keys_is_for_administrators(
    client: TestClient, make_key: Callable[..., dict[str, str]]
) -> None:
    for scopes, status in (({"read", "write"}, 403), ({"admin"}, 200)):
        answer = client.get("/console/keys", headers=make_key("ours", scopes=scopes))
        assert answer.status_code == status
    csrf = token_of(answer.text)
    admin = make_key("ours", scopes={"admin"})
    form = {"csrf": csrf, "name": "nightly"}
    wrong = client.post("/console/keys", data=form, headers=admin)
    assert wrong.status_code == 422 and "scopes" in wrong.text
    made = client.post("/console/keys", data={**form, "scope.read": "1"}, headers=admin).text
    key = found_in(made, r"(dr_[A-Za-z0-9_-]{20,})")
    assert client.get("/v1/jobs", headers={"authorization": f"Bearer {key}"}).status_code == 200
    assert key not in client.get("/console/keys", headers=admin).text
