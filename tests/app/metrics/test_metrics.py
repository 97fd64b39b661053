"""The figures that Prometheus reads."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from sqlalchemy import update

from dealrec.app.kit.database import Database, database_now
from dealrec.app.main import create_app
from dealrec.app.metrics import collector
from dealrec.app.settings import Settings
from dealrec.app.stages.workers import saw
from dealrec.app.tables.jobs import StageRunRow
from dealrec.errors import DealrecError
from dealrec.worker.claims import claim, died, expire, fail
from tests.worker.makers import new_job, ready_dataset


@pytest.fixture(autouse=True)
def _nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "_KEPT_SECONDS", 0.0)


class Scrape:
    """The samples of one answer."""

    def __init__(self, client: TestClient, **options: Any) -> None:
        answer = client.get("/metrics", **options)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.samples.get((name, frozenset(labels.items())))


def test_requests_are_counted_by_route_and_never_by_what_callers_choose(client: TestClient) -> None:
    for number in range(3):
        client.get(f"/v1/jobs/job_{number}")
    client.get("/nothing/secret-of-mine")
    client.request("BREW", "/v1/jobs")
    found = Scrape(client)
    labels = {"method": "GET", "route": "/v1/jobs/{job_id}"}
    assert found("dealrec_requests_total", **labels, status="404") == 3
    assert found("dealrec_request_seconds_count", **labels) == 3
    assert found("dealrec_requests_total", method="GET", route="none", status="404") == 1
    assert "secret-of-mine" not in str(found.samples)
    assert "BREW" not in str(found.samples)
    memory = found("process_resident_memory_bytes")
    assert memory is not None and memory > 10_000_000


def test_the_work_of_other_processes_is_told_from_the_database(
    client: TestClient, database: Database, settings: Settings
) -> None:
    settings.max_deaths = 2
    before = Scrape(client)
    assert before("dealrec_database_up") == 1
    assert before("dealrec_queue_depth", queue="gpu") == 0
    with database.session() as session:
        for _ in range(3):
            new_job(session, ready_dataset(session))
        saw(session, "one:1:a", ["gpu"])
    queued = Scrape(client)
    assert queued("dealrec_queue_depth", queue="gpu") == 3
    assert queued("dealrec_stages", stage="surrogate", state="queued") == 3
    assert queued("dealrec_jobs", state="queued") == 3
    assert queued("dealrec_workers", queue="gpu") == 1
    death = DealrecError("no", code="stage_raised")
    first = claim(database, settings, "one:1:a", queues=["gpu"])
    assert first is not None
    assert Scrape(client)("dealrec_stage_claims_total") == 1
    died(database, settings, first, death)
    again = claim(database, settings, "one:1:a", queues=["gpu"], stage_id=first.stage_id)
    assert again is not None
    fail(database, again, death.to_problem())
    lost = claim(database, settings.model_copy(update={"lease_seconds": -1.0}), "x", queues=["gpu"])
    assert lost is not None
    assert expire(database, settings, lost.stage_id)
    after = Scrape(client)
    assert after("dealrec_stage_claims_total") == 3
    for outcome in ("died", "failed", "lost"):
        assert after("dealrec_stage_runs_total", stage="surrogate", outcome=outcome) == 1
    assert after("dealrec_stage_failures_total", stage="surrogate", code="stage_raised") == 2
    assert after("dealrec_lost_leases_total") == 1
    assert after("dealrec_queue_depth", queue="gpu") == 2


def test_counters_go_on_while_runs_settle_and_are_swept(
    client: TestClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen() -> tuple[float | None, ...]:
        found = Scrape(client)
        return (
            found("dealrec_stage_runs_total", stage="effort", outcome="succeeded"),
            found("dealrec_stage_seconds_bucket", stage="effort", le="10.0"),
            found("dealrec_stage_seconds_sum", stage="effort"),
            found("dealrec_stage_gpu_seconds_total", stage="effort"),
        )

    assert seen() == (None,) * 4
    _ran(database, "st_a", 7.0)
    assert seen() == (1, 1, 7.0, 7.0)
    monkeypatch.setattr(collector, "_SETTLED_SECONDS", 0.0)
    for _ in range(2):
        assert seen() == (1, 1, 7.0, 7.0)
    with database.session() as session:
        session.execute(
            update(StageRunRow).values(ended_at=database_now(session) - timedelta(days=99))
        )
    _ran(database, "st_b", 20.0)
    assert seen() == (2, 1, 27.0, 27.0)


def test_without_its_database_the_process_still_answers(
    client: TestClient, database: Database
) -> None:
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE stages RENAME TO elsewhere")
    found = Scrape(client)
    assert found("dealrec_database_up") == 0
    assert found("process_resident_memory_bytes")


def test_with_keys_metrics_are_for_administrators_unless_they_are_open(
    settings: Settings, app: FastAPI, make_client: Callable[..., TestClient], make_key
) -> None:
    admin = make_key("operations", scopes=["admin"])
    with make_client() as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers=make_key(scopes=["read"])).status_code == 403
        assert Scrape(client, headers=admin)("dealrec_database_up") == 1
    settings.metrics_open = True
    with make_client(client=("10.0.0.7", 1)) as client:
        assert Scrape(client)("dealrec_database_up") == 1
        assert client.get("/v1/jobs").status_code == 401


def test_open_metrics_do_not_open_a_server_without_keys(
    settings: Settings, database: Database
) -> None:
    settings.metrics_open = True
    with TestClient(create_app(settings), client=("10.0.0.7", 1)) as client:
        assert client.get("/metrics").status_code == 403
    settings.bootstrap_key = SecretStr("dr_" + "b" * 43)
    with TestClient(create_app(settings), client=("10.0.0.7", 1)) as client:
        assert client.get("/metrics").status_code == 200


def _ran(database: Database, stage_id: str, seconds: float) -> None:
    with database.session() as session:
        session.add(
            StageRunRow(
                stage_id=stage_id,
                fence=1,
                tenant_id="default",
                name="effort",
                queue="gpu",
                outcome="succeeded",
                seconds=seconds,
                used_gpu=True,
                ended_at=database_now(session),
            )
        )
