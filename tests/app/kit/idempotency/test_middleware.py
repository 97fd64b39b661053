"""A POST that is sent twice."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select, update

from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.errors import Conflict
from dealrec.app.kit.idempotency.hashing import BodyHash
from dealrec.app.kit.idempotency.store import Reservation, forget_old, give_back, reserve
from dealrec.app.tables.idempotency import IdempotencyRow
from dealrec.app.tables.jobs import JobRow
from tests.app.conftest import Finisher
from tests.worker.makers import TENANT

KEY = {"Idempotency-Key": "nightly-2031-01-07"}


def jobs(database: Database) -> int:
    with database.session(write=False) as session:
        return session.scalar(select(func.count()).select_from(JobRow)) or 0


def test_the_same_request_has_one_effect_and_the_first_answer(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    body = {"dataset_id": finisher.dataset().id, "budget": 5}
    first = client.post("/v1/jobs", json=body, headers=KEY)
    before = jobs(database)
    second = client.post("/v1/jobs", json=body, headers=KEY)
    assert first.status_code == second.status_code == 202
    assert second.json() == first.json()
    assert second.headers["location"] == first.headers["location"]
    assert second.headers["idempotency-replayed"] == "true"
    assert jobs(database) == before


def test_an_action_on_a_job_that_is_asked_for_again_is_not_done_again(
    client: TestClient, finisher: Finisher, database: Database
) -> None:
    job = client.post("/v1/jobs", json={"dataset_id": finisher.dataset().id, "budget": 5}).json()

    def fail() -> None:
        with database.session() as session:
            session.execute(update(JobRow).values(state="failed", error={"code": "test"}))

    fail()
    first = client.post(f"/v1/jobs/{job['id']}/retry", headers=KEY)
    fail()
    second = client.post(f"/v1/jobs/{job['id']}/retry", headers=KEY)
    assert second.json() == first.json()
    assert first.json()["state"] == "queued"
    assert client.get(f"/v1/jobs/{job['id']}").json()["state"] == "failed"


@pytest.mark.parametrize("change", ["body", "route"])
def test_a_key_used_with_another_request_is_refused(
    client: TestClient, finisher: Finisher, change: str
) -> None:
    body = {"dataset_id": finisher.dataset().id, "budget": 5}
    client.post("/v1/jobs", json=body, headers=KEY)
    path = "/v1/jobs" if change == "body" else "/v1/uploads"
    answer = client.post(path, json={**body, "budget": 6}, headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")


def test_a_form_is_known_by_its_content(client: TestClient, csv: bytes) -> None:
    files, data = {"interactions": ("a.csv", csv)}, {"budget": "5"}
    first = client.post("/v1/prune", files=files, data=data, headers=KEY)
    second = client.post("/v1/prune", files=files, data=data, headers=KEY)
    assert first.status_code == 202
    assert second.json() == first.json()
    other = {"interactions": ("a.csv", csv + b"u99,i1,1\n")}
    third = client.post("/v1/prune", files=other, data=data, headers=KEY)
    assert third.json()["code"] == "idempotency_key_reused"
    assert len(client.get("/v1/datasets").json()["data"]) == 1


def test_a_refused_request_leaves_its_key_free(client: TestClient, finisher: Finisher) -> None:
    body = {"dataset_id": finisher.dataset().id, "budget": 10_000}
    assert client.post("/v1/jobs", json=body, headers=KEY).status_code == 422
    assert client.post("/v1/jobs", json={**body, "budget": 5}, headers=KEY).status_code == 202


def test_keys_of_two_tenants_do_not_meet(database: Database) -> None:
    for tenant in ("one", "two"):
        found = reserve(database, tenant, "k", "POST /v1/jobs?", BodyHash(""))
        assert isinstance(found, Reservation)


@pytest.mark.parametrize("key", ["", "x" * 256, "\x7f"])
def test_a_key_that_cannot_be_kept_is_refused(client: TestClient, key: str) -> None:
    answer = client.post("/v1/jobs", json={}, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_idempotency_key")


def test_of_many_at_once_one_has_an_effect(
    make_client: Callable[..., TestClient], finisher: Finisher, database: Database
) -> None:
    body, answers = {"dataset_id": finisher.dataset().id, "budget": 5}, []
    before = jobs(database)
    with make_client() as client:

        def post() -> None:
            answers.append(client.post("/v1/jobs", json=body, headers=KEY))

        threads = [threading.Thread(target=post) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    codes = {answer.status_code for answer in answers}
    assert codes <= {202, 409}
    assert 202 in codes
    assert all(
        answer.json()["code"] == "idempotency_key_in_use"
        for answer in answers
        if answer.status_code == 409
    )
    assert len({a.json()["id"] for a in answers if a.status_code == 202}) == 1
    assert jobs(database) == before + 1


def test_a_reservation_whose_process_died_is_taken_over_and_the_late_one_changes_nothing(
    database: Database,
) -> None:
    first = reserve(database, TENANT, "k", "r", BodyHash(""))
    assert isinstance(first, Reservation)
    with pytest.raises(Conflict) as caught:
        reserve(database, TENANT, "k", "r", BodyHash(""))
    assert caught.value.code == "idempotency_key_in_use"
    with database.session() as session:
        earlier = database_now(session) - timedelta(minutes=2)
        session.execute(update(IdempotencyRow).values(created_at=earlier))
    second = reserve(database, TENANT, "k", "r", BodyHash(""))
    assert isinstance(second, Reservation)
    with pytest.raises(Conflict), database.session() as session:
        first.keep(session, status=201, answer={}, location=None)
    give_back(database, first)
    with database.session() as session:
        second.keep(session, status=201, answer={"id": "x"}, location=None)


def test_old_keys_are_forgotten(database: Database) -> None:
    reserve(database, TENANT, "k", "r", BodyHash(""))
    with database.session() as session:
        forget_old(session, hours=1)
    with pytest.raises(Conflict):
        reserve(database, TENANT, "k", "r", BodyHash(""))
    with database.session() as session:
        forget_old(session, hours=0)
    assert isinstance(reserve(database, TENANT, "k", "r", BodyHash("")), Reservation)
