"""What schedules make, and what becomes of ticks that are missed, that overlap or that fail."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select

from dealrec.app.kit.caller import Scope
from dealrec.app.kit.database import database_now
from dealrec.app.kit.storage import Storage
from dealrec.app.quotas.schemas import Quota
from dealrec.app.quotas.service import set_quotas
from dealrec.app.schedules.ticks import Ticker
from dealrec.app.settings import Settings
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import JobRow
from dealrec.app.tables.schedules import ScheduleRow
from dealrec.app.tables.webhooks import DeliveryRow
from dealrec.app.webhooks.schemas import WebhookCreate
from dealrec.app.webhooks.service import create as create_webhook
from dealrec.worker.sweeper import sweep
from tests.app.schedules.conftest import World

VERSIONS = {"kind": "on_version"}
MOVED = {"popularity": 0.2, "new_items": 0.01, "new_item_interactions": 0.5}


def told(world: World, *events: str) -> list[str]:
    """The kinds of the messages to a webhook, which is made by the first call."""
    with world.database.session() as session:
        if not events:
            return list(session.scalars(select(DeliveryRow.event).order_by(DeliveryRow.id)))
        body = WebhookCreate.model_validate({"url": "https://1.1.1.1/", "events": events})
        create_webhook(session, "default", body)
    return []


BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


@BOTH
def test_each_due_time_makes_one_job_on_the_newest_version(world: World) -> None:
    schedule = world.schedule()
    due = schedule["next_due"]
    assert [datetime.fromisoformat(one).minute for one in due] == [0, 0, 0]
    assert world.at(due[0], seconds=-1) == 0
    newest = world.version()
    assert world.at(due[0]) == 1
    assert world.round() == 0
    (job,) = world.jobs(schedule)
    assert (job["schedule_id"], job["due_at"]) == (schedule["id"], due[0])
    assert (job["dataset_id"], job["kind"], job["budget"]["requested"]) == (newest, "prune", 5)
    (tick,) = world.ticks(schedule)
    assert (tick["outcome"], tick["due_at"], tick["job_id"]) == ("made", due[0], job["id"])
    world.end_jobs()
    assert world.at(due[1], seconds=20) == 1
    now = world.get(schedule)
    assert now["counts"] == {"made": 2, "missed": 0, "skipped": 0, "failed": 0}
    assert now["next_due"][0] == due[2]
    assert now["last_job_id"] == world.jobs(schedule)[1]["id"]
    made = world.client.get("/v1/audit", params={"action": "job.create"}).json()["data"][0]
    assert (made["actor"], made["object_id"]) == ("service", now["last_job_id"])


def test_of_missed_due_times_the_latest_makes_a_job_and_the_others_are_counted(
    world: World,
) -> None:
    schedule = world.schedule()
    first = datetime.fromisoformat(schedule["next_due"][0])
    assert world.at(first, hours=5, minutes=30) == 1
    (tick,) = world.ticks(schedule)
    assert (datetime.fromisoformat(tick["due_at"]), tick["missed"]) == (
        first + timedelta(hours=5),
        5,
    )
    assert world.get(schedule)["counts"] == {"made": 1, "missed": 5, "skipped": 0, "failed": 0}
    assert datetime.fromisoformat(world.get(schedule)["next_due"][0]) == first + timedelta(hours=6)


def test_a_due_time_is_skipped_while_the_job_before_has_not_ended(world: World) -> None:
    schedule = world.schedule()
    due = schedule["next_due"]
    world.at(due[0])
    world.end_jobs("paused")
    assert world.at(due[1]) == 1
    world.end_jobs("failed")
    assert world.at(due[2]) == 1
    assert [tick["outcome"] for tick in world.ticks(schedule)] == ["made", "skipped", "made"]
    assert world.get(schedule)["counts"]["skipped"] == 1


@BOTH
def test_a_new_version_makes_a_job_and_waits_for_the_one_before(world: World) -> None:
    schedule = world.schedule(VERSIONS)
    assert (schedule["next_due"], world.round()) == ([], 0)
    second = world.version()
    assert (world.round(), world.round()) == (1, 0)
    world.version()
    last = world.version()
    assert world.round() == 0
    world.end_jobs()
    assert (world.round(), world.round()) == (1, 0)
    assert [job["dataset_id"] for job in world.jobs(schedule)] == [second, last]
    assert world.get(schedule)["counts"] == {"made": 2, "missed": 1, "skipped": 0, "failed": 0}


@pytest.mark.parametrize(
    ("measure", "above", "versions"), [("popularity", 0.5, 3), ("new_items", 0.015, 2)]
)
def test_drift_is_added_up_until_it_passes_the_bound(
    world: World, measure: str, above: float, versions: int
) -> None:
    schedule = world.schedule({"kind": "drift", "measure": measure, "above": above})
    for number in range(1, versions):
        world.version(MOVED)
        assert world.round() == 0
        assert world.get(schedule)["drift"] == pytest.approx(number * MOVED[measure])
    world.version(MOVED)
    assert world.round() == 1
    assert world.get(schedule)["drift"] == 0


def test_where_a_version_between_was_deleted_the_bound_counts_as_passed(world: World) -> None:
    schedule = world.schedule({"kind": "drift", "above": 0.9})
    between = world.version(MOVED)
    world.version(MOVED)
    with world.database.session() as session:
        session.execute(delete(DatasetRow).where(DatasetRow.id == between))
    assert world.round() == 1
    assert len(world.jobs(schedule)) == 1


def test_a_job_goes_on_from_the_last_one_that_succeeded(world: World) -> None:
    how = {"coreset": "top_up"}
    schedule = world.schedule(VERSIONS, continue_last=True, continuation=how)
    for state in ("succeeded", "failed", "succeeded"):
        world.version()
        assert world.round() == 1
        with world.database.session() as session:
            session.get_one(JobRow, world.get(schedule)["last_job_id"]).state = state
    first, second, third = world.jobs(schedule)
    assert (first["continue_from"], first["continuation"]) == (None, None)
    assert second["continue_from"] == third["continue_from"] == first["id"]
    assert third["continuation"]["coreset"] == "top_up"


def test_a_job_that_cannot_be_made_leaves_its_reason_and_the_next_tick_tries_again(
    world: World,
) -> None:
    told(world, "schedule.failed")
    schedule = world.schedule(budget=10**6)
    due = schedule["next_due"]
    assert (world.at(due[0]), world.round()) == (1, 0)
    failed = world.get(schedule)
    assert (failed["active"], failed["counts"]["failed"]) == (True, 1)
    assert failed["error"]["code"] == "budget_too_large"
    assert world.ticks(schedule)[0]["error"] == failed["error"]
    assert (told(world), world.jobs(schedule)) == (["schedule.failed"], [])
    order = {"budget": 5, "config": {"effort": None}}
    path = f"/v1/schedules/{schedule['id']}"
    assert world.client.patch(path, json={"job": order}).status_code == 200
    assert world.at(due[1]) == 1
    assert (world.get(schedule)["error"], len(world.jobs(schedule))) == (None, 1)


def test_a_quota_that_is_used_up_fails_the_tick(world: World) -> None:
    schedule = world.schedule()
    with world.database.session() as session:
        set_quotas(session, "default", {Quota.OPEN_JOBS: 0}, frozenset())
    world.at(schedule["next_due"][0])
    assert world.get(schedule)["error"]["code"] == "quota_exceeded"


def test_a_schedule_goes_on_when_its_key_is_revoked(world: World, make_key: Any) -> None:
    headers = make_key(scopes=[Scope.READ, Scope.WRITE])
    admin = make_key()
    world.client.headers.update(headers)
    schedule = world.schedule()
    keys = world.client.get("/v1/keys", headers=admin).json()["data"]
    made_with = keys[1]["id"]  # the newest comes first
    assert world.client.delete(f"/v1/keys/{made_with}", headers=admin).status_code == 204
    assert world.client.get("/v1/schedules").status_code == 401
    world.client.headers.update(admin)
    assert world.at(schedule["next_due"][0]) == 1
    assert world.get(schedule)["counts"]["made"] == 1


@BOTH
def test_a_schedule_whose_data_set_is_gone_is_paused_with_the_reason(world: World) -> None:
    told(world, "schedule.paused")
    schedule = world.schedule(VERSIONS)
    second = world.version()
    assert world.client.delete(f"/v1/datasets/{world.dataset}").status_code == 204
    assert world.round() == 1  # any version will do
    world.end_jobs()
    assert world.client.delete(f"/v1/datasets/{second}?cascade=true").status_code == 204
    assert world.round() == 0
    paused = world.get(schedule)
    assert (paused["active"], paused["paused"]["code"]) == (False, "dataset_deleted")
    assert told(world) == ["schedule.paused"]
    resumed = world.client.patch(f"/v1/schedules/{schedule['id']}", json={"active": True})
    assert (resumed.status_code, resumed.json()["code"]) == (409, "dataset_deleted")


def test_a_due_time_without_a_ready_version_fails(world: World) -> None:
    schedule = world.schedule()
    with world.database.session() as session:
        session.get_one(DatasetRow, world.dataset).state = DatasetState.VALIDATING.value
    assert world.at(schedule["next_due"][0]) == 1
    assert world.get(schedule)["error"]["code"] == "dataset_not_ready"


def test_what_comes_due_during_a_pause_is_not_made_up_for(world: World) -> None:
    timed, newer = world.schedule(), world.schedule(VERSIONS)
    for schedule in (timed, newer):
        path = f"/v1/schedules/{schedule['id']}"
        paused = world.client.patch(path, json={"active": False}).json()
        assert (paused["active"], paused["next_due"], paused["paused"]) == (False, [], None)
    world.version()
    assert world.at(timed["next_due"][0], hours=3) == 0
    for schedule in (timed, newer):
        path = f"/v1/schedules/{schedule['id']}"
        assert world.client.patch(path, json={"active": True}).json()["active"]
    assert world.round() == 1  # the clock of this test is hours ahead of the database's
    assert (len(world.jobs(timed)), world.jobs(newer)) == (1, [])


def test_a_run_on_request_makes_one_tick_and_leaves_the_next_due_time(world: World) -> None:
    schedule = world.schedule(continue_last=True)
    newest = world.version()
    path = f"/v1/schedules/{schedule['id']}/run"
    key = {"Idempotency-Key": "once"}
    first, again = (world.client.post(path, headers=key) for _ in range(2))
    assert first.status_code == again.status_code == 202
    job = first.json()
    assert again.json() == job and first.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["schedule_id"], job["dataset_id"], job["due_at"]) == (schedule["id"], newest, None)
    busy = world.client.post(path)
    assert (busy.status_code, busy.json()["code"]) == (409, "job_not_ended")
    assert busy.json()["job_id"] == job["id"]
    (tick,) = world.ticks(schedule)
    assert (tick["requested"], tick["outcome"], tick["due_at"]) == (True, "made", None)
    now = world.get(schedule)
    assert now["next_due"] == schedule["next_due"]
    assert (now["counts"]["made"], now["counts"]["skipped"]) == (1, 0)
    world.end_jobs()
    assert world.client.post(path).json()["continue_from"] == job["id"]
    world.end_jobs()
    assert world.at(schedule["next_due"][0]) == 1
    assert [one["requested"] for one in world.ticks(schedule)] == [True, True, False]
    acts = world.client.get("/v1/audit", params={"action": "schedule.run"}).json()["data"]
    assert [one["object_id"] for one in acts] == [schedule["id"]] * 2


def test_a_run_on_request_accounts_for_the_versions_that_are_ready(world: World) -> None:
    newer = world.schedule(VERSIONS)
    world.version()
    last = world.version()
    path = f"/v1/schedules/{newer['id']}/run"
    assert world.client.post(path).json()["dataset_id"] == last
    world.end_jobs()
    assert (world.round(), world.ticks(newer)[0]["missed"]) == (0, 1)
    assert world.client.post(path).status_code == 202  # on the same version once more
    world.end_jobs()
    world.version()
    assert world.round() == 1


def test_a_run_on_request_that_cannot_be_made_leaves_nothing(world: World) -> None:
    large, small = world.schedule(budget=10**6), world.schedule()
    path = f"/v1/schedules/{large['id']}/run"
    assert world.client.post(path).json()["code"] == "budget_too_large"
    place = f"/v1/schedules/{small['id']}"
    world.client.patch(place, json={"active": False})
    assert world.client.post(f"{place}/run").json()["code"] == "schedule_paused"
    world.client.patch(place, json={"active": True})
    with world.database.session() as session:
        session.get_one(DatasetRow, world.dataset).state = DatasetState.VALIDATING.value
    assert world.client.post(f"{place}/run").json()["code"] == "dataset_not_ready"
    assert world.ticks(large) == world.ticks(small) == []
    assert world.get(large)["counts"]["failed"] == 0


def test_the_sweeper_looks_for_what_is_due(
    world: World, settings: Settings, storage: Storage
) -> None:
    schedule = world.schedule(VERSIONS)
    world.version()
    assert sweep(settings, world.database, storage)
    assert len(world.jobs(schedule)) == 1
    sweep(settings.model_copy(update={"event_days": 1e-9}), world.database, storage)
    assert world.ticks(schedule) == []


@BOTH
def test_metrics_tell_of_schedules_ticks_and_drift(world: World) -> None:
    timed, newer = world.schedule(), world.schedule(VERSIONS)
    version = world.version(MOVED)
    assert world.at(timed["next_due"][0]) == 2
    path = f"/v1/schedules/{newer['id']}"
    world.client.patch(path, json={"active": False})
    with world.database.session() as session:
        row = session.get_one(ScheduleRow, timed["id"])
        row.next_due = database_now(session) - timedelta(hours=1)
    lines = world.client.get("/metrics").text.splitlines()
    for line in (
        'dealrec_schedules{state="active"} 1.0',
        'dealrec_schedules{state="paused"} 1.0',
        'dealrec_schedule_ticks{outcome="made"} 2.0',
        'dealrec_schedule_ticks{outcome="missed"} 0.0',
        f'dealrec_dataset_drift{{dataset_id="{version}",figure="popularity"}} 0.2',
    ):
        assert line in lines
    (late,) = (one.split()[1] for one in lines if one.startswith("dealrec_schedule_overdue"))
    assert 3600 <= float(late) < 3700


def test_a_schedule_that_breaks_keeps_no_other_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, good = world.schedule(VERSIONS), world.schedule(VERSIONS)
    world.version()
    look = Ticker._look

    def breaking(self: Ticker, identifier: str) -> bool:
        if identifier == broken["id"]:
            raise OSError
        return look(self, identifier)

    monkeypatch.setattr(Ticker, "_look", breaking)
    assert world.round() == 1
    assert len(world.jobs(good)) == 1
