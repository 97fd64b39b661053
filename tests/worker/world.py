"""The database that random walks work on: three workers, people, and a clock that is told."""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from sqlalchemy import event, select, update

from dealrec.app.jobs.controls import JobRequest, request_resume
from dealrec.app.kit import ids
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.errors import Conflict
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.stages.transitions import Stale
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import ArtifactRow, EventRow, JobRow, JobState, StageRow, StageState
from dealrec.worker import claims
from dealrec.worker.assignment import read_assignment
from dealrec.worker.claims import Claim
from dealrec.worker.problems import StageDied
from dealrec.worker.publication import Result, publish
from dealrec.worker.sweeper import sweep
from tests.worker.makers import TINY, new_job, ready_dataset

PROBLEM = {"code": "stage_died", "title": "t", "detail": "d", "type": "x"}
DETAILS: dict[str, dict[str, Any]] = {
    "ingest": {
        "sha256": "1" * 64,
        "split": "leave_one_out",
        "counts": {"valid": 30, "samples_per_user": 30},
        "report": {},
        "train_lengths": {"5": 30},
    },
    "select": {"size": 10, "sha256": "2" * 64, "coverage": {}},
}
WORKERS = ("one:1:a", "two:2:b", "three:3:c")


@dataclass(frozen=True)
class Now:
    """All rows as they are between two steps."""

    jobs: list[JobRow] = field(default_factory=list)
    stages: list[StageRow] = field(default_factory=list)
    events: dict[str, list[EventRow]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    coresets: list[str] = field(default_factory=list)
    """The job of each coreset."""

    def in_state(self, state: StageState) -> list[StageRow]:
        return [stage for stage in self.stages if stage.state == state]

    def job(self, job_id: str) -> JobRow:
        return next(job for job in self.jobs if job.id == job_id)

    def of(self, job: JobRow) -> list[StageRow]:
        return [stage for stage in self.stages if stage.job_id == job.id]

    def holds(self, claim: Claim) -> bool:
        stage = next(stage for stage in self.stages if stage.id == claim.stage_id)
        return (stage.fence, stage.state) == (claim.fence, StageState.RUNNING)


class World(RuleBasedStateMachine):
    """Rows, claims and files, and how they are acted on; what is done when is for a subclass.

    Ids and the database's clock count on by one millisecond, so that a failure can be replayed.
    """

    template: Path
    """A database file that is migrated."""

    def __init__(self) -> None:
        super().__init__()
        self._patches = ExitStack()
        ticks, numbers = itertools.count(1), itertools.count(1)
        steady = SimpleNamespace(time_ns=lambda: next(numbers) * 1_000_000)
        self._patches.enter_context(patch.object(ids, "time", steady))
        self._folder = Path(tempfile.mkdtemp(dir=self.template.parent))
        shutil.copy(self.template, self._folder / "dealrec.sqlite3")
        self.settings = Settings(data_dir=self._folder, max_deaths=2, max_lost_leases=3)
        self.database = Database(self.settings)
        event.listen(
            self.database.engine,
            "connect",
            lambda connection, _: _logical_clock(connection, ticks),
        )
        self.storage = Storage(self.settings)
        self.now = Now()
        self.claims: list[Claim] = []
        self.fences: dict[str, int] = {}
        self.ended: dict[str, str] = {}
        with self.database.session() as session:
            self.ready = ready_dataset(session).id

    def _drain(self) -> None:
        """Workers that go on working, until nothing is left to do."""
        self._look()
        for stage in self.now.in_state(StageState.RUNNING):
            self._pass(stage.id)
        sweep(self.settings, self.database, self.storage)
        self._look()
        for job in self._in_job_state(JobState.PAUSED):
            self._ask(request_resume, job, allowed=True)
        while taken := claims.claim(
            self.database, self.settings, WORKERS[0], queues=("cpu", "gpu")
        ):
            self.claims.append(taken)
            self._look()
            self._succeed(taken)

    def _ask(self, request: JobRequest, job: JobRow, *, allowed: bool) -> None:
        with self.database.session() as session:
            if allowed:
                request(session, session.get_one(JobRow, job.id))
            else:
                with pytest.raises(Conflict):
                    request(session, session.get_one(JobRow, job.id))

    def _in_job_state(self, state: JobState) -> list[JobRow]:
        return [job for job in self.now.jobs if job.state == state]

    def _look(self) -> None:
        with self.database.session(write=False) as session:
            jobs = list(session.scalars(select(JobRow).order_by(JobRow.id)))
            self.now = Now(
                jobs,
                list(session.scalars(select(StageRow).order_by(StageRow.id))),
                {job.id: [] for job in jobs},
                list(session.scalars(select(ArtifactRow.key))),
                list(session.scalars(select(CoresetRow.job_id))),
            )
            for one in session.scalars(select(EventRow).order_by(EventRow.sequence)):
                self.now.events[one.job_id].append(one)

    def _post(self, dataset_id: str, seed: int, *, sharded: bool = False) -> None:
        config = {**TINY, "surrogate": {**TINY["surrogate"], "seed": seed}}
        if sharded:  # a plan and two shards of the 30 samples
            config["effort"] = {"shard_samples": 15}
        with self.database.session() as session:
            dataset = session.get_one(DatasetRow, dataset_id)
            new_job(session, dataset, config=config)

    def _turn(self, stage: StageRow) -> tuple[int, datetime | None, str]:
        """The order of stages of one tenant: the fewest running in its job, then the longest wait."""
        running = [other.job_id for other in self.now.in_state(StageState.RUNNING)]
        at_work = running.count(stage.job_id) if stage.job_id else 0
        return at_work, stage.queued_at, stage.id

    def _claim(self, data: st.DataObject) -> Claim:
        """Draw any claim that was ever given, the latest ones more often."""
        return data.draw(st.sampled_from(self.claims[::-1]))

    def _succeed(self, claim: Claim) -> None:
        held = self.now.holds(claim)
        with self.database.session(write=False) as session:
            if not held:
                with pytest.raises(Stale):
                    claims.locked(session, claim)
                return
            assignment = read_assignment(session, claim)
        out = self._folder / "out"
        out.mkdir(exist_ok=True)
        pq.write_table(_scores(), out / "scores.parquet")
        size = self.storage.put_folder(assignment.prefix, out)
        result = Result(assignment.prefix, DETAILS.get(claim.name, {}), {}, size)
        publish(self.database, self.storage, assignment, result, self._folder)

    def _end(self, claim: Claim, how: str) -> None:
        match how:
            case "died":
                claims.died(self.database, self.settings, claim, StageDied("exit status 1"))
            case "failed":
                claims.fail(self.database, claim, PROBLEM)
            case "released":
                claims.release(self.database, claim)

    def _pass(self, stage_id: str) -> None:
        with self.database.session() as session:
            past = database_now(session) - timedelta(seconds=1)
            session.execute(
                update(StageRow).where(StageRow.id == stage_id).values(lease_until=past)
            )


def _logical_clock(connection: Any, ticks: Iterator[int]) -> None:
    """Make SQLite's ``strftime`` count on; durability is tested elsewhere."""

    def strftime(form: str, _when: str) -> str:
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=next(ticks))
        return moment.strftime(form.replace("%f", f"%S.{moment.microsecond // 1000:03}"))

    connection.create_function("strftime", 2, strftime)
    connection.execute("PRAGMA synchronous=OFF")


def _scores() -> pa.Table:
    return pa.table(
        {
            "sample_key": ["u0:1"],
            "influence": [0.5],
            "effort": pa.nulls(1, pa.float64()),
            "overall": [0.5],
            "stratum": [0],
            "selected": [True],
        }
    )
