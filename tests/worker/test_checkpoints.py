"""Checkpoints that outlive the machine."""

import time
from pathlib import Path

import pytest

from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.jobs import StageRow, StageState
from dealrec.worker import claims
from dealrec.worker.checkpoints import PREFIX, Checkpoints, remove_ended
from dealrec.worker.claims import Claim, claim
from tests.worker.makers import new_job, ready_dataset


@pytest.fixture
def claimed(database: Database, settings: Settings) -> Claim:
    with database.session() as session:
        new_job(session, ready_dataset(session))
    taken = claim(database, settings, "one", queues=["gpu"])
    assert taken is not None
    return taken


def later(claimed: Claim, fence: int) -> Claim:
    return Claim(
        claimed.stage_id,
        claimed.job_id,
        claimed.dataset_id,
        claimed.tenant_id,
        claimed.name,
        fence,
    )


def elsewhere(settings: Settings, tmp_path: Path) -> Settings:
    """Another machine with the same storage."""
    return settings.model_copy(
        update={"data_dir": tmp_path / "other", "storage_url": settings.resolved_storage_url}
    )


def test_the_next_run_on_this_machine_finds_what_the_last_one_wrote(
    settings: Settings, storage: Storage, claimed: Claim
) -> None:
    with Checkpoints(settings, storage, claimed) as first:
        (first.folder / "surrogate.pt").write_bytes(b"after epoch 3")
    with Checkpoints(settings, storage, later(claimed, 2)) as second:
        assert (second.folder / "surrogate.pt").read_bytes() == b"after epoch 3"
        assert second.folder != first.folder


def test_a_run_on_another_machine_finds_it_in_storage(
    settings: Settings, storage: Storage, claimed: Claim, tmp_path: Path
) -> None:
    quick = settings.model_copy(update={"checkpoint_seconds": 0.05})
    with Checkpoints(quick, storage, claimed) as first:
        (first.folder / "surrogate.pt").write_bytes(b"after epoch 3")
        (first.folder / ".surrogate.pt.0a1b2c3d.part").write_bytes(b"half of epo")
        deadline = time.monotonic() + 10
        while not storage.keys(PREFIX) and time.monotonic() < deadline:
            time.sleep(0.02)
        # The first machine dies here: it says nothing more.
        with Checkpoints(elsewhere(settings, tmp_path), storage, later(claimed, 2)) as second:
            found = {path.name: path.read_bytes() for path in second.folder.iterdir()}
    assert found == {"surrogate.pt": b"after epoch 3"}


def test_the_checkpoints_of_an_ensembles_members_are_carried_too(
    settings: Settings, storage: Storage, claimed: Claim, tmp_path: Path
) -> None:
    with Checkpoints(settings, storage, claimed) as first:
        for member in ("0", "1"):
            (first.folder / member).mkdir()
            (first.folder / member / "surrogate.pt").write_bytes(f"of {member}".encode())
    with Checkpoints(elsewhere(settings, tmp_path), storage, later(claimed, 2)) as second:
        found = {
            path.relative_to(second.folder).as_posix(): path.read_bytes()
            for path in second.folder.rglob("*.pt")
        }
    assert found == {"0/surrogate.pt": b"of 0", "1/surrogate.pt": b"of 1"}


def test_a_machine_that_ran_it_long_ago_takes_the_newer_one_from_storage(
    settings: Settings, storage: Storage, claimed: Claim, tmp_path: Path
) -> None:
    with Checkpoints(settings, storage, claimed) as first:
        (first.folder / "surrogate.pt").write_bytes(b"after epoch 3")
    with Checkpoints(elsewhere(settings, tmp_path), storage, later(claimed, 2)) as second:
        (second.folder / "surrogate.pt").write_bytes(b"after epoch 7")
    with Checkpoints(settings, storage, later(claimed, 3)) as third:
        assert (third.folder / "surrogate.pt").read_bytes() == b"after epoch 7"


def test_what_a_finished_stage_needed_is_gone(
    settings: Settings, storage: Storage, claimed: Claim
) -> None:
    with Checkpoints(settings, storage, claimed) as run:
        (run.folder / "surrogate.pt").write_bytes(b"x")
    run.forget()
    assert storage.keys(PREFIX) == []
    assert list((settings.data_dir / PREFIX).iterdir()) == []


def test_those_of_a_failed_job_are_kept_for_its_retry_for_some_days(
    settings: Settings, storage: Storage, database: Database, claimed: Claim
) -> None:
    with Checkpoints(settings, storage, claimed) as run:
        (run.folder / "surrogate.pt").write_bytes(b"x")
    claims.fail(database, claimed, {"code": "stage_died"})
    remove_ended(database, storage, settings)
    assert run.folder.is_dir()
    assert len(storage.keys(PREFIX)) == 1
    remove_ended(database, storage, settings.model_copy(update={"failed_checkpoint_days": 0}))
    assert not run.folder.exists()
    assert storage.keys(PREFIX) == []


def test_the_sweeper_removes_those_of_ended_stages_alone(
    settings: Settings, storage: Storage, database: Database, claimed: Claim
) -> None:
    with Checkpoints(settings, storage, claimed) as run:
        (run.folder / "surrogate.pt").write_bytes(b"x")
    remove_ended(database, storage, settings)
    assert run.folder.is_dir()
    assert len(storage.keys(PREFIX)) == 1
    with database.session() as session:
        session.get_one(StageRow, claimed.stage_id).state = StageState.CANCELLED
    remove_ended(database, storage, settings)
    assert not run.folder.exists()
    assert storage.keys(PREFIX) == []
