"""Webhooks over HTTP."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from tests.app.webhooks.ends import Ends
from tests.app.webhooks.receiver import Receiver


def test_a_secret_is_shown_once_and_a_test_message_arrives(
    client: TestClient, receiver: Receiver, deliver: Callable[[], int]
) -> None:
    made = client.post("/v1/webhooks", json={"url": receiver.url, "name": "nightly"})
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    webhook = made.json()
    assert webhook["secret"].startswith("whsec_")
    assert webhook["events"] == ["job.cancelled", "job.succeeded", "job.failed"]
    path = f"/v1/webhooks/{webhook['id']}"
    for shown in (client.get(path), client.get("/v1/webhooks"), client.get("/v1/audit")):
        assert webhook["secret"] not in shown.text
    assert client.post(f"{path}/rotate").json()["secret"] != webhook["secret"]
    pinged = client.post(f"{path}/ping").json()
    assert (pinged["state"], pinged["job_id"]) == ("pending", None)
    assert deliver() == 1
    (listed,) = client.get(f"{path}/deliveries", params={"state": "delivered"}).json()["data"]
    assert (listed["id"], listed["attempts"], listed["next_at"]) == (pinged["id"], 1, None)
    again = client.post(f"{path}/deliveries/{pinged['id']}/redeliver")
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    assert deliver() == 1
    assert receiver.ids == [pinged["id"]] * 2
    changed = client.patch(path, json={"events": ["job.failed"], "active": False}).json()
    assert (changed["events"], changed["active"]) == (["job.failed"], False)
    assert changed["name"] == "nightly"
    assert client.delete(path).status_code == 204
    assert client.get(f"{path}/deliveries").status_code == 404


def test_an_inactive_webhook_is_told_nothing(
    client: TestClient, receiver: Receiver, deliver: Callable[[], int], ends: Ends
) -> None:
    webhook = client.post("/v1/webhooks", json={"url": receiver.url}).json()["id"]
    client.patch(f"/v1/webhooks/{webhook}", json={"active": False})
    ends.ended()
    client.patch(f"/v1/webhooks/{webhook}", json={"active": True})
    assert deliver() == 0


@pytest.mark.parametrize(
    ("body", "code", "place"),
    [
        ({"url": "https://10.0.0.1/"}, "address_not_allowed", "url"),
        ({"url": "nonsense"}, "invalid_url", "url"),
        ({"url": "https://1.1.1.1/", "events": []}, "invalid_request", "events"),
        ({"url": "https://1.1.1.1/", "events": ["job.done"]}, "invalid_request", "events"),
    ],
)
def test_what_cannot_be_a_webhook_is_refused(
    client: TestClient, body: dict, code: str, place: str
) -> None:
    refused = client.post("/v1/webhooks", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert refused.json()["errors"][0]["location"].startswith(place)
    assert client.get("/v1/webhooks").json()["data"] == []


def test_a_tenant_has_so_many_webhooks_at_most(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dealrec.app.webhooks.service._MOST", 2)
    answers = [client.post("/v1/webhooks", json={"url": "https://1.1.1.1/"}) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 409]
    assert answers[-1].json()["code"] == "too_many_webhooks"
