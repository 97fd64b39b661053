"""The operator's trackers get a record of every job that ends; one that is away is a warning of the job."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError
from sqlalchemy import update

from dealrec.app.kit.database import Database, DatabaseClock
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.stages.transitions import move_job
from dealrec.app.tables.jobs import JobRow, JobState, StageRow, StageState
from dealrec.app.tracking import writing
from dealrec.app.tracking.writing import TrackWriter
from dealrec.tracking.program import answer
from tests.app.conftest import Finisher
from tests.dealrec.tracking.events import scalars, texts

LOSSES: list[tuple[int, float | None]] = [(1, 2.5), (2, 1.5), (3, None)]


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """One database will do for most tests here."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"track": (f"tensorboard:{tmp_path / 'runs'}",)})


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of its own takes seconds to start; the tests of the library start one."""
    monkeypatch.setattr(writing._WRITING, "answer", answer)


@pytest.fixture
def write(settings: Settings, database: Database, storage: Storage) -> Callable[[], int]:
    """A round of one worker; pauses after failures are over."""
    writer = TrackWriter(settings, database, storage)

    def round_() -> int:
        with database.session() as session:
            session.execute(
                update(JobRow).where(JobRow.track_at.is_not(None)).values(track_at=DatabaseClock())
            )
        return writer.round()

    return round_


@pytest.fixture
def ended(finisher: Finisher, database: Database) -> str:
    """A job that trained a surrogate and has just ended with a coreset."""
    finished = finisher.all()
    with database.session() as session:
        job = session.get_one(JobRow, finished.job)
        job.state, job.finished_at, job.name = JobState.RUNNING.value, None, "games · 12"
        session.add(
            StageRow(
                id=new_id("st"),
                tenant_id="default",
                dataset_id=finished.dataset,
                job_id=job.id,
                name="surrogate",
                queue="cpu",
                state=StageState.SUCCEEDED.value,
                needs=[],
                metrics={"valid_ndcg@10": 0.25},
                curves={"loss": LOSSES},
            )
        )
        session.flush()
        move_job(session, job, JobState.SUCCEEDED)
    return finished.job


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
def test_a_job_that_ended_is_recorded_once_with_curves_options_and_coreset(
    client: TestClient, ended: str, write: Callable[[], int], tmp_path: Path
) -> None:
    before = client.get(f"/v1/jobs/{ended}").json()
    assert before["tracking"] == [{"tracker": "tensorboard", "state": "pending", "run": None}]
    assert before["warnings"] == []
    assert (write(), write()) == (1, 0)
    folder = tmp_path / "runs" / ended
    found = scalars(folder)
    assert found["surrogate/loss"] == LOSSES[:2]
    assert found["surrogate/valid_ndcg_at_10"] == [(0, 0.25)]
    coreset = client.get(f"/v1/coresets/{before['coreset_id']}").json()
    assert coreset["sha256"] in texts(folder) and "selection.strata" in texts(folder)
    after = client.get(f"/v1/jobs/{ended}").json()
    assert after["tracking"] == [{"tracker": "tensorboard", "state": "written", "run": ended}]
    assert after["state"] == "succeeded" and after["warnings"] == []


def test_a_tracker_that_is_away_is_a_warning_and_tried_again(
    client: TestClient, ended: str, write: Callable[[], int], tmp_path: Path
) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    assert write() == 1
    job = client.get(f"/v1/jobs/{ended}").json()
    assert job["state"] == "succeeded" and job["tracking"][0]["state"] == "pending"
    (warning,) = job["warnings"]
    assert warning["location"] == "tracking.tensorboard"
    assert warning["message"].endswith("another attempt follows")
    assert warning["message"] in client.get(f"/console/jobs/{ended}").text.replace("&#39;", "'")
    (tmp_path / "runs").unlink()
    assert write() == 1
    again = client.get(f"/v1/jobs/{ended}").json()
    assert (again["warnings"], again["tracking"][0]["state"]) == ([], "written")


def test_a_tracker_that_stays_away_is_given_up(
    client: TestClient, ended: str, write: Callable[[], int], tmp_path: Path
) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    assert [write() for _ in range(11)] == [1] * 10 + [0]
    job = client.get(f"/v1/jobs/{ended}").json()
    assert job["tracking"][0]["state"] == "failed"
    assert job["warnings"][0]["message"].endswith("no further attempt is made")


def test_a_program_that_fails_is_an_error_like_any_other(
    client: TestClient, ended: str, write: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing._WRITING, "answer", lambda _request: b"Killed\n")
    assert write() == 1
    (warning,) = client.get(f"/v1/jobs/{ended}").json()["warnings"]
    assert "the program that writes it failed" in warning["message"]


def test_a_record_that_cannot_be_made_is_tried_ten_times_and_holds_up_no_other_job(
    client: TestClient, ended: str, write: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_storage: Storage, key: str) -> None:
        raise FileNotFoundError(key)

    monkeypatch.setattr(Storage, "stream", gone)
    assert [write() for _ in range(11)] == [1] * 10 + [0]
    job = client.get(f"/v1/jobs/{ended}").json()
    assert job["tracking"][0]["state"] == "failed"
    assert "the record could not be made" in job["warnings"][0]["message"]


def test_without_a_tracker_nothing_is_written(database: Database, ended: str) -> None:
    with database.session() as session:
        job = session.get_one(JobRow, ended)
        session.info["settings"] = Settings()
        job.state = JobState.RUNNING.value
        session.flush()
        move_job(session, job, JobState.FAILED)
        assert (job.tracking, job.track_at) == (None, None)


def test_an_unknown_tracker_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEALREC_TRACK", "comet:x")
    with pytest.raises(ValidationError, match="not the address of a tracker"):
        Settings()
