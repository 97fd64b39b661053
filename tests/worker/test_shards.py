"""The effort of one job, measured by several workers."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dealrec.app.jobs.lifecycle import stages_of
from dealrec.app.jobs.service import present
from dealrec.app.kit.database import Database
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import ArtifactRow, EventRow, JobRow, StageRow, StageState
from dealrec.worker.claims import claim
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model
from tests.worker.makers import TINY, new_job, ready_dataset, upload
from tests.worker.processes import embedded, until

BUDGET = 12


def effort(model: str = "smollm2-135m", shard_samples: int = 4096) -> dict[str, Any]:
    options = {"model": model, "batch_tokens": 512, "shard_samples": shard_samples}
    return {**TINY, "effort": options, "selection": {"strata": 5, "effort_weight": 0.5}}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tiny")
    tiny_model().save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return str(folder)


class Service:
    """A database, its storage, and one job on 60 samples."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.settings = Settings(
            data_dir=folder / "data",
            lease_seconds=3,
            heartbeat_seconds=0.5,
            sweep_seconds=0.5,
            poll_seconds=0.05,
            torch_threads=1,
        )
        self.database, self.storage = Database(self.settings), Storage(self.settings)
        self.database.migrate()
        folder.mkdir(exist_ok=True)
        dataset_id = upload(self.database, self.storage, folder)
        with self.database.session() as session:
            dataset = session.get_one(DatasetRow, dataset_id)
            self.job_id = new_job(session, dataset, BUDGET, config).id

    def finished(self) -> bool:
        with self.database.session(write=False) as session:
            row = session.get_one(JobRow, self.job_id)
            assert row.error is None, row.error
            return row.state == "succeeded"

    def rows(self) -> list[StageRow]:
        with self.database.session(write=False) as session:
            return stages_of(session, session.get_one(JobRow, self.job_id))

    def events(self) -> list[EventRow]:
        with self.database.session(write=False) as session:
            query = select(EventRow).where(EventRow.job_id == self.job_id)
            return list(session.scalars(query.order_by(EventRow.sequence)))

    def shards(self) -> list[StageRow]:
        return [row for row in self.rows() if row.part == "shard"]

    def result(self) -> tuple[bytes, str]:
        """The file of all efforts, and the coreset's hash."""
        (merged,) = (row for row in self.rows() if row.name == "effort" and row.part is None)
        with self.database.session(write=False) as session:
            artifact = session.get_one(ArtifactRow, merged.artifact_id)
            job = session.get_one(JobRow, self.job_id)
            coreset = session.get_one(CoresetRow, job.coreset_id)
        path = self.storage.fetch_file(f"{artifact.prefix}/effort.parquet", Path())
        return path.read_bytes(), coreset.sha256


@contextmanager
def service(folder: Path, config: dict[str, Any]) -> Iterator[Service]:
    made = Service(folder, config)
    try:
        yield made
    finally:
        made.database.dispose()


@pytest.fixture(scope="module")
def in_one_piece(tmp_path_factory: pytest.TempPathFactory, model: str) -> tuple[bytes, str]:
    with service(tmp_path_factory.mktemp("one"), effort(model)) as one:
        with embedded(one.settings):
            until(one.finished, 120)
        assert one.shards() == []
        return one.result()


def test_two_workers_measure_the_shards_and_the_result_is_one_workers_byte_for_byte(
    tmp_path: Path, model: str, in_one_piece: tuple[bytes, str]
) -> None:
    with service(tmp_path, effort(model, shard_samples=15)) as shared:
        with embedded(shared.settings), embedded(shared.settings):
            until(shared.finished, 180)
        assert len(shared.shards()) == 4
        assert len({row.owner for row in shared.rows()}) == 2
        assert shared.result() == in_one_piece
        with shared.database.session(write=False) as session:
            entries = present(session, session.get_one(JobRow, shared.job_id)).stages
        (shown,) = (entry for entry in entries if entry.name == "effort")
        assert shown.shards is not None
        assert (shown.state, shown.shards.done, shown.shards.total) == ("succeeded", 4, 4)
        told = [event.data["shards"] for event in shared.events() if "shards" in event.data]
        assert told == [{"done": done, "total": 4} for done in (1, 2, 3, 4)]


def test_a_dead_workers_shard_is_taken_over_alone(
    tmp_path: Path, model: str, in_one_piece: tuple[bytes, str]
) -> None:
    with service(tmp_path, effort(model, shard_samples=15)) as shared, ExitStack() as stack:
        shared.settings.lease_seconds = 6  # a worker that is slow on a busy machine is not lost
        workers = [stack.enter_context(embedded(shared.settings)) for _ in range(2)]
        dead = workers[0]

        def owners() -> set[int]:
            running = [row for row in shared.shards() if row.state == StageState.RUNNING]
            return {int(str(row.owner).split(":")[1]) for row in running}

        def held_in_a_shard_while_the_other_measures() -> bool:
            """The worker is looked at again once it is stopped: from then on it cannot end its shard."""
            if owners() != {worker.pid for worker in workers}:
                return False
            dead.send_signal(signal.SIGSTOP)
            if dead.pid in owners():
                return True
            dead.send_signal(signal.SIGCONT)
            return False

        until(held_in_a_shard_while_the_other_measures, 120)
        dead.kill()
        until(shared.finished, 120)
        taken_over = [row for row in shared.rows() if row.lost_leases]
        assert [(row.part, row.fence) for row in taken_over] == [("shard", 2)]
        assert all(row.fence == 1 for row in shared.rows() if row.id != taken_over[0].id)
        assert f":{dead.pid}:" not in str(taken_over[0].owner)
        assert shared.result() == in_one_piece


def test_the_job_shows_one_entry_with_its_shards(database: Database, settings: Settings) -> None:
    with database.session() as session:
        job = new_job(session, ready_dataset(session), 10, effort(shard_samples=10))
    while (taken := claim(database, settings, "one", queues=["cpu", "gpu"])) is not None:
        if taken.part == "plan":
            break
    with database.session(write=False) as session:
        entries = present(session, session.get_one(JobRow, job.id)).stages
    assert [entry.name for entry in entries] == ["surrogate", "influence", "effort", "select"]
    assert entries[0].shards is None
    assert entries[2].shards is not None
    assert (entries[2].state, entries[2].shards.done, entries[2].shards.total) == ("running", 0, 3)


def test_candidates_that_fit_into_one_shard_are_not_split(database: Database) -> None:
    config = effort(shard_samples=20)
    config["effort"]["candidates"] = 2
    with database.session() as session:
        few = new_job(session, ready_dataset(session), 10, config)
        many = new_job(session, ready_dataset(session), 11, config)
        parts = {job.id: [row.part for row in stages_of(session, job)] for job in (few, many)}
        waits_for = next(row for row in stages_of(session, many) if row.part == "plan").needs
        influence = next(row for row in stages_of(session, many) if row.name == "influence")
    assert parts[few.id] == [None] * 4
    assert sorted(part or "" for part in parts[many.id]) == [
        "",
        "",
        "",
        "",
        "plan",
        "shard",
        "shard",
    ]
    assert waits_for == [influence.id]
