"""A comparison whose headroom shows nothing to learn skips what only selectors need."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from dealrec.app.jobs.controls import request_cancel, request_pause, request_resume
from dealrec.app.jobs.lifecycle import advance
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.stages.transitions import lock_job, move_job, move_stage
from dealrec.app.tables.jobs import ArtifactRow, JobRow, JobState, StageRow, StageState
from dealrec.worker.assignment import read_assignment
from dealrec.worker.claims import Claim
from tests.app.conftest import Finisher
from tests.app.jobs.test_comparisons import asked

Compared = Callable[..., str]


@pytest.fixture
def compared(client: TestClient, finisher: Finisher) -> Compared:
    def make(**fields: Any) -> str:
        config = {"effort": {"shard_samples": 25}}
        body = asked(finisher.dataset(), config=config, **fields)
        return str(client.post("/v1/comparisons", json=body).json()["id"])

    return make


def begin(session: Session, job_id: str, name: str) -> StageRow:
    job = lock_job(session, job_id)
    if job.state == JobState.QUEUED:
        move_job(session, job, JobState.RUNNING)
    stage = session.scalars(
        select(StageRow).where(StageRow.job_id == job_id, StageRow.name == name, StageRow.run == 0)
    ).one()
    move_stage(session, stage, StageState.RUNNING, new_fence=1)
    return stage


def succeed(session: Session, stage: StageRow, **details: Any) -> None:
    artifact = ArtifactRow(
        id=new_id("art"),
        tenant_id=stage.tenant_id,
        stage=stage.name,
        key=stage.id.ljust(64, "0"),
        prefix=f"artifacts/{stage.id}",
        details=details,
        created_at=database_now(session),
    )
    session.add(artifact)
    session.flush()
    lock_job(session, stage.job_id or "")
    move_stage(session, stage, StageState.SUCCEEDED, artifact_id=artifact.id)
    advance(session, stage)


def finish(database: Database, job_id: str, name: str, **details: Any) -> None:
    with database.session() as session:
        succeed(session, begin(session, job_id, name), **details)


def states(client: TestClient, job_id: str) -> dict[str, str]:
    return {
        stage["name"]: stage["state"] for stage in client.get(f"/v1/jobs/{job_id}").json()["stages"]
    }


def test_without_headroom_the_scores_are_skipped_and_the_report_is_made(
    client: TestClient, database: Database, compared: Compared
) -> None:
    job = compared()
    finish(database, job, "surrogate")
    finish(database, job, "headroom", stops=True)
    assert states(client, job) == {
        "surrogate": "skipped",
        "headroom": "succeeded",
        "influence": "skipped",
        "effort": "skipped",
        "compare": "queued",
    }
    stages = {stage["name"]: stage for stage in client.get(f"/v1/jobs/{job}").json()["stages"]}
    assert stages["surrogate"]["runs"] == {"done": 1, "total": 2}
    left = client.get(f"/v1/jobs/{job}").json()["eta_seconds"]
    assert 0 < left <= stages["compare"]["expected_seconds"]
    events = client.get(f"/v1/jobs/{job}/events?limit=200").json()["data"]
    skipped = [(one["stage"], one["data"]) for one in events if one["kind"] == "stage.skipped"]
    assert ("influence", {"run": 1}) in skipped
    assert ("effort", {"part": "shard", "shard": 0}) in skipped  # and shards with their stage
    assert "skipped" in client.get(f"/console/jobs/{job}").text
    with database.session(write=False) as session:
        compare = session.query(StageRow).filter_by(job_id=job, name="compare").one()
        claim = Claim(compare.id, job, compare.dataset_id, compare.tenant_id, "compare", 1)
        assert [set(run) for run in read_assignment(session, claim).inputs] == [
            {"surrogate", "headroom"}
        ]
    finish(database, job, "compare", verdict="This set-up does not teach the model to recommend.")
    found = client.get(f"/v1/jobs/{job}").json()
    assert (found["state"], found["error"]) == ("succeeded", None)


def test_the_report_waits_for_the_surrogate_that_it_shows(
    client: TestClient, database: Database, compared: Compared
) -> None:
    job = compared()
    finish(database, job, "headroom", stops=True)
    assert states(client, job)["compare"] == "waiting"
    finish(database, job, "surrogate")
    assert states(client, job)["compare"] == "queued"


@pytest.mark.parametrize("details", [{"stops": False}, {"stops": True}])
def test_with_headroom_or_in_spite_of_none_everything_goes_on(
    client: TestClient, database: Database, compared: Compared, details: dict[str, bool]
) -> None:
    job = compared(despite_no_headroom=details["stops"])
    finish(database, job, "surrogate")
    finish(database, job, "headroom", **details)
    found = states(client, job)
    assert "skipped" not in found.values()
    assert (found["influence"], found["compare"]) == ("queued", "waiting")
    with database.session(write=False) as session:
        influence = session.query(StageRow).filter_by(job_id=job, name="influence", run=0).one()
        claim = Claim(influence.id, job, influence.dataset_id, influence.tenant_id, "influence", 1)
        (inputs,) = read_assignment(session, claim).inputs
        assert set(inputs) == {"surrogate"}  # it waits for the headroom, and reads nothing of it


def test_a_pause_in_between_loses_nothing(
    client: TestClient, database: Database, compared: Compared
) -> None:
    job = compared()
    finish(database, job, "surrogate")
    with database.session() as session:
        stage = begin(session, job, "headroom")
        request_pause(session, session.get_one(JobRow, job))
        succeed(session, stage, stops=True)
    assert client.get(f"/v1/jobs/{job}").json()["state"] == "paused"
    assert states(client, job)["effort"] == "skipped"
    with database.session() as session:
        request_resume(session, session.get_one(JobRow, job))
    assert states(client, job)["compare"] == "queued"


def test_a_job_that_is_cancelled_meanwhile_stays_cancelled(
    client: TestClient, database: Database, compared: Compared
) -> None:
    job = compared()
    with database.session() as session:
        stage = begin(session, job, "headroom")
        request_cancel(session, session.get_one(JobRow, job))
        succeed(session, stage, stops=True)
    assert client.get(f"/v1/jobs/{job}").json()["state"] == "cancelled"
    assert states(client, job)["effort"] == states(client, job)["compare"] == "cancelled"


def test_a_retry_keeps_what_was_skipped(
    client: TestClient, database: Database, compared: Compared
) -> None:
    from dealrec.app.jobs.lifecycle import fail_stage

    job = compared()
    finish(database, job, "surrogate")
    finish(database, job, "headroom", stops=True)
    with database.session() as session:
        stage = begin(session, job, "compare")
        fail_stage(session, stage, {"code": "stage_died", "title": "x"}, fence=1)
    assert client.post(f"/v1/jobs/{job}/retry").json()["state"] == "running"
    found = states(client, job)
    assert (found["compare"], found["effort"]) == ("queued", "skipped")
