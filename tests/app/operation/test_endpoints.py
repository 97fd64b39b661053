"""What administrators see of the whole server, and of nobody's ids but their own."""

from collections.abc import Callable
from datetime import timedelta

from fastapi.testclient import TestClient
from sqlalchemy import select

from dealrec.app.kit.database import Database, database_now
from dealrec.app.stages.workers import saw
from dealrec.app.tables.jobs import JobRow, StageRow, StageState, WorkerRow
from tests.app.conftest import Finisher


def test_queues_workers_and_storage_are_shown_over_all_tenants_without_their_ids(
    make_client: Callable[..., TestClient], make_key, database: Database, finisher: Finisher
) -> None:
    ours, theirs = make_key("ours"), make_key("theirs")
    body = {"dataset_id": finisher.dataset("ours").id, "budget": 5}
    with make_client() as client:
        job = client.post("/v1/jobs", json=body, headers=ours).json()["id"]
        with database.session() as session:
            first, second = session.scalars(
                select(StageRow).where(StageRow.job_id == job).order_by(StageRow.position).limit(2)
            ).all()
            now = database_now(session)
            first.state, first.owner = StageState.RUNNING.value, "host:1:a"
            first.started_at, first.progress = now, {"done": 1, "total": 4, "unit": "epoch"}
            second.state, second.queued_at = StageState.QUEUED.value, now - timedelta(seconds=90)
            first.queue, second.queue = "cpu", "gpu"
            saw(session, "host:1:a", ["cpu"])
            saw(session, "host:2:b", ["gpu"])
            session.get_one(WorkerRow, "host:2:b").seen_at = now - timedelta(minutes=5)
        mine = client.get("/v1/server", headers=ours).json()
        other = client.get("/v1/server", headers=theirs)
        page = client.get("/console/server", headers=ours).text
    cpu, gpu = mine["queues"]
    assert (cpu["queue"], cpu["waiting"], cpu["running"], cpu["workers"]) == ("cpu", 0, 1, 1)
    assert (gpu["waiting"], gpu["running"], gpu["workers"]) == (1, 0, 0)
    assert 89 < gpu["oldest_seconds"] < 600
    busy, missing = mine["workers"]
    assert (busy["present"], missing["present"], missing["tasks"]) == (True, False, [])
    (task,) = busy["tasks"]
    assert (task["job_id"], task["foreign"], task["progress"]["done"]) == (job, False, 1)
    assert mine["storage"]["free_bytes"] > 0
    assert job not in other.text and other.json()["workers"][0]["tasks"][0]["foreign"]
    assert "no worker takes stages from it" in page and "missing" in page and "25 % done" in page


def test_who_only_reads_sees_failures_and_quotas_and_is_told_who_sees_more(
    make_client: Callable[..., TestClient], make_key, finisher: Finisher, database: Database
) -> None:
    made = finisher.all("ours")
    with database.session() as session:
        row = session.get_one(JobRow, made.job)
        row.state, row.error = "failed", {"title": "It was killed", "stage": "surrogate"}
    reader, writer = make_key("ours", scopes={"read"}), make_key("ours", scopes={"read", "write"})
    with make_client() as client:
        page = client.get("/console/server", headers=reader).text
        assert "It was killed" in page and "Surrogate" in page and "no limit" in page
        assert f"/console/jobs/{made.job}/retry" not in page
        assert "a key that has the scope <code>admin</code>" in page and "/console/keys" not in page
        assert (
            f"/console/jobs/{made.job}/retry" in client.get("/console/server", headers=writer).text
        )
