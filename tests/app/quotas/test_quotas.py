"""How much a tenant may have."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

from dealrec.app.keys.repository import ensure_tenant
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.errors import QuotaExceeded
from dealrec.app.kit.storage import Storage
from dealrec.app.quotas.schemas import Quota
from dealrec.app.quotas.service import require_room, set_quotas
from dealrec.app.settings import Settings
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import JobRow, StageRunRow
from tests.app.conftest import Finisher


def limit(database: Database, quota: Quota, value: float | None, tenant: str = "default") -> None:
    with database.session() as session:
        ensure_tenant(session, tenant, database_now(session))
        set_quotas(session, tenant, {quota: value}, frozenset())


def used(client: TestClient) -> dict[str, float]:
    return {one["quota"]: one["used"] for one in client.get("/v1/quotas").json()["data"]}


def count(database: Database, table: type) -> int:
    with database.session(write=False) as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_bytes_are_refused_beyond_the_limit_and_deleting_makes_room(
    client: TestClient, database: Database, storage: Storage, csv: bytes
) -> None:
    limit(database, Quota.STORED_BYTES, len(csv) + 10)
    file = {"interactions": ("a.csv", csv)}
    first = client.post("/v1/datasets", files=file)
    assert first.status_code == 201
    assert used(client)["stored_bytes"] == len(csv)
    for refused in (
        client.post("/v1/datasets", files=file),
        client.post("/v1/prune", files=file, data={"budget": "5"}),
        client.post("/v1/uploads", json={"filename": "a.csv", "bytes": 11}),
    ):
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (403, "quota_exceeded")
        assert (problem["quota"], problem["limit"]) == ("stored_bytes", len(csv) + 10)
        assert problem["used"] == len(csv)
        assert "Delete" in problem["detail"]
    assert (count(database, DatasetRow), count(database, JobRow)) == (1, 0)
    assert len(storage.keys("datasets")) == 1
    assert client.post("/v1/uploads", json={"filename": "a", "bytes": 10}).status_code == 201
    client.delete(f"/v1/datasets/{first.json()['id']}")
    assert used(client)["stored_bytes"] == 10
    assert client.post("/v1/uploads", json={"filename": "a", "bytes": 11}).status_code == 201


def test_a_coreset_that_has_no_room_is_not_kept(
    client: TestClient, database: Database, storage: Storage, finisher: Finisher
) -> None:
    job = finisher.all().job
    before = storage.keys("coresets")
    limit(database, Quota.STORED_BYTES, 5)
    refused = client.post(f"/v1/jobs/{job}/coresets", json={"budget": 3})
    assert (refused.status_code, refused.json()["code"]) == (403, "quota_exceeded")
    assert storage.keys("coresets") == before


def test_jobs_are_refused_beyond_those_open_until_one_ends(
    client: TestClient, database: Database, finisher: Finisher
) -> None:
    limit(database, Quota.OPEN_JOBS, 1)
    body = {"dataset_id": finisher.dataset().id, "budget": 5}
    job = client.post("/v1/jobs", json=body).json()
    refused = client.post("/v1/jobs", json=body)
    assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
    assert (refused.json()["quota"], refused.json()["used"]) == ("open_jobs", 1)
    assert count(database, JobRow) == 1
    client.post(f"/v1/jobs/{job['id']}/cancel")
    assert client.post("/v1/jobs", json=body).status_code == 202


def test_gpu_seconds_of_the_last_days_count_whatever_became_of_them(
    client: TestClient, database: Database, finisher: Finisher, settings: Settings
) -> None:
    limit(database, Quota.GPU_SECONDS, 100)
    settings.quota_gpu_days = 1
    body = {"dataset_id": finisher.dataset().id, "budget": 5}
    _run(database, 60, used_gpu=True)
    _run(database, 500, used_gpu=False)
    _run(database, 500, used_gpu=True, days_ago=2)
    _run(database, 500, used_gpu=True, tenant="team-b")
    assert used(client)["gpu_seconds"] == 60
    job = client.post("/v1/jobs", json=body).json()
    client.post(f"/v1/jobs/{job['id']}/pause")
    _run(database, 40, used_gpu=True)
    for refused in (
        client.post("/v1/jobs", json=body),
        client.post(f"/v1/jobs/{job['id']}/resume"),
    ):
        assert (refused.status_code, refused.json()["code"]) == (403, "quota_exceeded")
        assert (refused.json()["quota"], refused.json()["used"]) == ("gpu_seconds", 100)


def test_a_tenants_own_limit_goes_before_the_settings(
    client: TestClient, database: Database, settings: Settings
) -> None:
    settings.quota_stored_bytes = 10
    body = {"filename": "a", "bytes": 11}
    assert client.post("/v1/uploads", json=body).status_code == 403
    limit(database, Quota.STORED_BYTES, None)
    assert client.post("/v1/uploads", json=body).status_code == 201
    limit(database, Quota.STORED_BYTES, 0)
    assert client.post("/v1/uploads", json={**body, "bytes": 1}).status_code == 403
    with database.session() as session:
        set_quotas(session, "default", {}, frozenset(Quota))
    assert used(client)["stored_bytes"] == 11
    assert client.post("/v1/uploads", json=body).status_code == 403


def test_of_many_at_once_no_more_get_in_than_fit(client: TestClient, database: Database) -> None:
    limit(database, Quota.STORED_BYTES, 30)
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(
                lambda _: client.post("/v1/uploads", json={"filename": "a", "bytes": 10}),
                range(6),
            )
        )
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [403] * 3
    assert used(client)["stored_bytes"] == 30


def test_a_tenant_that_is_not_known_yet_has_the_settings_limits(
    database: Database, settings: Settings
) -> None:
    settings.quota_stored_bytes = 10
    with pytest.raises(QuotaExceeded), database.session() as session:
        require_room(session, "team-new", 11)


def _run(
    database: Database,
    seconds: float,
    *,
    used_gpu: bool,
    days_ago: float = 0,
    tenant: str = "default",
) -> None:
    from datetime import timedelta

    from dealrec.app.kit.ids import new_id

    with database.session() as session:
        session.add(
            StageRunRow(
                stage_id=new_id("st"),
                fence=1,
                tenant_id=tenant,
                name="effort",
                queue="gpu",
                outcome="failed",
                seconds=seconds,
                used_gpu=used_gpu,
                ended_at=database_now(session) - timedelta(days=days_ago),
            )
        )
