"""Schedules over HTTP."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.app.schedules.conftest import HOURLY, World


def test_a_schedule_is_made_changed_and_deleted(world: World) -> None:
    config = {"effort": None, "selection": {"method": "random"}}
    made = world.schedule({**HOURLY, "time_zone": "Asia/Kolkata"}, config=config)
    assert made["job"] == {"budget": 5, "config": config}
    assert made["next_due"][0].endswith(":30:00Z")
    path = f"/v1/schedules/{made['id']}"
    assert world.client.get(path).json() == made
    assert [one["id"] for one in world.client.get("/v1/schedules").json()["data"]] == [made["id"]]
    changed = world.client.patch(path, json={"name": "weekly", "trigger": {"kind": "on_version"}})
    assert (changed.json()["name"], changed.json()["next_due"]) == ("weekly", [])
    back = world.client.patch(path, json={"trigger": HOURLY}).json()
    assert back["next_due"][0].endswith(":00:00Z")
    world.at(back["next_due"][0])
    assert world.client.delete(path).status_code == 204
    assert world.client.get(f"{path}/ticks").status_code == 404
    assert len(world.jobs(made)) == 1


REFUSED: list[tuple[dict[str, Any], int, str, str | None]] = [
    ({"trigger": {"kind": "cron", "cron": "x"}}, 422, "invalid_request", "trigger.cron"),
    ({"trigger": {"kind": "drift"}}, 422, "invalid_request", "trigger.above"),
    ({"trigger": {"kind": "moon"}}, 422, "invalid_request", "trigger"),
    ({"job": {}}, 422, "invalid_request", "job.budget"),
    ({"job": {"budget": 5, "continuation": {}}}, 422, "invalid_request", "job"),
    (
        {"job": {"budget": 5, "config": {"effort": {"model": "unheard-of"}}}},
        *(422, "unknown_model", "config.effort.model"),
    ),
    ({"dataset_id": "ds_0"}, 404, "not_found", None),
]


def test_what_cannot_be_a_schedule_is_refused(world: World) -> None:
    body = {"name": "x", "dataset_id": world.dataset, "trigger": HOURLY, "job": {"budget": 5}}
    for change, status, code, place in REFUSED:
        refused = world.client.post("/v1/schedules", json=body | change)
        assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
        if place is not None:
            assert refused.json()["errors"][0]["location"] == place
    assert world.client.get("/v1/schedules").json()["data"] == []


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_of_many_at_once_no_more_get_in_than_a_tenant_may_have(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dealrec.app.schedules.service._MOST", 3)
    body = {"name": "x", "dataset_id": world.dataset, "trigger": HOURLY, "job": {"budget": 5}}
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(world.client.post, "/v1/schedules", json=body) for _ in range(6)]
    answers = [one.result() for one in asked]
    assert sorted(one.status_code for one in answers) == [201] * 3 + [409] * 3
    assert {one.json().get("code") for one in answers} == {None, "too_many_schedules"}
