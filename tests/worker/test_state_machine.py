"""Claims, beats, lost leases, ends, people and the sweeper in any order, on a real database.

``--hypothesis-profile=chaos`` runs it thousands of times.
"""

import itertools
import shutil
import tempfile
from collections import Counter
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
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import event, select, update

from app.coresets.models import CoresetRow
from app.datasets.models import DatasetRow, DatasetState
from app.jobs.models import ArtifactRow, EventRow, JobRow, JobState, StageRow, StageState
from app.jobs.planning import plan_ingest
from app.jobs.requests import (
    JobRequest,
    request_cancel,
    request_pause,
    request_resume,
    request_retry,
)
from app.jobs.transitions import ENDED_JOBS, ENDED_STAGES, Stale
from app.kit import ids
from app.kit.database import Database, database_now
from app.kit.errors import Conflict
from app.kit.ids import new_id
from app.kit.storage import Storage
from app.settings import Settings
from dealrec.config.stages import StageName
from tests.worker.makers import TENANT, TINY, new_job, ready_dataset
from worker import claims
from worker.assignment import read_assignment
from worker.claims import Claim, Standing
from worker.publication import Result, publish
from worker.sweeper import sweep

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
LONG = hypothesis_settings.get_current_profile_name() == "chaos"


@dataclass(frozen=True)
class Now:
    """All rows as they are between two steps."""

    jobs: list[JobRow] = field(default_factory=list)
    stages: list[StageRow] = field(default_factory=list)
    events: dict[str, list[EventRow]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    coresets: list[str] = field(default_factory=list)
    """The job of each."""

    def in_state(self, state: StageState) -> list[StageRow]:
        return [stage for stage in self.stages if stage.state == state]

    def job(self, job_id: str) -> JobRow:
        return next(job for job in self.jobs if job.id == job_id)

    def of(self, job: JobRow) -> list[StageRow]:
        return [stage for stage in self.stages if stage.job_id == job.id]

    def holds(self, claim: Claim) -> bool:
        stage = next(stage for stage in self.stages if stage.id == claim.stage_id)
        return (stage.fence, stage.state) == (claim.fence, StageState.RUNNING)


class Machine(RuleBasedStateMachine):
    """Three workers, people and the sweeper against one database.

    Ids and the database's clock count on by one millisecond, so that a failure can be replayed.
    """

    template: Path

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

    # What people do.

    @precondition(lambda self: len(self.now.jobs) < 3)
    @rule(seed=st.integers(0, 2), sharded=st.booleans())
    def post_a_job(self, seed: int, sharded: bool) -> None:
        """On a ready data set; the same seed gives the same keys, so that results are shared."""
        self._post(self.ready, seed, sharded=sharded)

    @precondition(lambda self: len(self.now.jobs) < 3)
    @rule(seed=st.integers(0, 2))
    def upload_and_post(self, seed: int) -> None:
        with self.database.session() as session:
            dataset = DatasetRow(
                id=new_id("ds"),
                tenant_id=TENANT,
                name="test",
                state=DatasetState.VALIDATING.value,
                uploads={},
                created_at=database_now(session),
            )
            plan_ingest(session, dataset)
        self._post(dataset.id, seed)

    @precondition(lambda self: self.now.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.now.jobs))
        self._ask(request_cancel, job, allowed=job.state not in ENDED_JOBS)

    @precondition(lambda self: self.now.jobs)
    @rule(data=st.data())
    def pause(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.now.jobs))
        refused = {JobState.CANCELLING, *ENDED_JOBS}
        self._ask(request_pause, job, allowed=job.state not in refused)

    @precondition(lambda self: self.now.jobs)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.now.jobs))
        self._ask(request_resume, job, allowed=job.state == JobState.PAUSED)

    @precondition(lambda self: self._in_job_state(JobState.FAILED))
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.now.jobs))
        with self.database.session(write=False) as session:
            dataset = session.get_one(DatasetRow, job.dataset_id)
        usable = dataset.state != DatasetState.REJECTED
        allowed = job.state == JobState.FAILED and usable
        self._ask(request_retry, job, allowed=allowed)
        if allowed:
            for row in (job, *self.now.of(job)):
                if row.state != StageState.SUCCEEDED:
                    self.ended.pop(row.id, None)

    # What workers do.

    @rule(worker=st.sampled_from(WORKERS))
    def take_the_next(self, worker: str) -> None:
        queued = self.now.in_state(StageState.QUEUED)
        taken = claims.claim(self.database, self.settings, worker, queues=("cpu", "gpu"))
        if queued:
            assert taken is not None
            assert taken.stage_id == min(queued, key=self._turn).id
            self.claims.append(taken)
        else:
            assert taken is None

    @precondition(lambda self: self.now.stages)
    @rule(data=st.data(), worker=st.sampled_from(WORKERS))
    def get_a_message(self, data: st.DataObject, worker: str) -> None:
        """Of any stage: the broker may deliver it twice, late, or for one that has ended."""
        stage = data.draw(st.sampled_from(self.now.stages))
        taken = claims.claim(self.database, self.settings, worker, stage_id=stage.id)
        assert (taken is not None) == (stage.state == StageState.QUEUED)
        if taken is not None:
            self.claims.append(taken)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), renew=st.booleans())
    def beat(self, data: st.DataObject, renew: bool) -> None:
        claim = self._claim(data)
        held = self.now.holds(claim)
        lease = self.settings.lease_seconds if renew else None
        progress = {"done": 1, "total": 2, "unit": "epoch"}
        standing = claims.beat(self.database, claim, lease_seconds=lease, progress=progress)
        assert (standing is Standing.LOST) == (not held)
        if held and claim.job_id:
            running = self.now.job(claim.job_id).state == JobState.RUNNING
            assert standing is (Standing.GOOD if running else Standing.STOP)

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def succeed(self, data: st.DataObject) -> None:
        self._succeed(self._claim(data))

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), how=st.sampled_from(["died", "failed", "released", "stopped"]))
    def end_otherwise(self, data: st.DataObject, how: str) -> None:
        claim = self._claim(data)
        if how == "stopped" and self._goes_on(claim):
            how = "released"  # a runner stops a stage for good only where its job does not go on
        if self.now.holds(claim):
            self._end(claim, how)
        else:
            with pytest.raises(Stale):
                self._end(claim, how)

    # What time does.

    @precondition(lambda self: self.now.in_state(StageState.RUNNING))
    @rule(data=st.data())
    def a_lease_passes(self, data: st.DataObject) -> None:
        self._pass(data.draw(st.sampled_from(self.now.in_state(StageState.RUNNING))).id)

    @rule()
    def sweep(self) -> None:
        sweep(self.settings, self.database, self.storage)
        with self.database.session(write=False) as session:
            now = database_now(session)
            running = select(StageRow.lease_until).where(StageRow.state == StageState.RUNNING)
            assert all(lease > now for lease in session.scalars(running))

    # What must always hold.

    @invariant()
    def all_is_well(self) -> None:
        """Everything below, on one look at the rows."""
        self._look()
        self._a_fence_never_falls()
        self._a_running_stage_has_one_owner_and_no_other_has_a_lease()
        self._what_has_ended_stays_as_it_is()
        for job in self.now.jobs:
            self._a_job_is_what_its_stages_are(job)
            self._events_tell_what_happened(job)
        self._what_has_succeeded_has_its_result_once()

    def _a_fence_never_falls(self) -> None:
        for stage in self.now.stages:
            assert stage.fence >= self.fences.get(stage.id, 0)
            self.fences[stage.id] = stage.fence

    def _a_running_stage_has_one_owner_and_no_other_has_a_lease(self) -> None:
        given = Counter((claim.stage_id, claim.fence) for claim in self.claims)
        for stage in self.now.stages:
            if stage.state == StageState.RUNNING:
                assert given[stage.id, stage.fence] == 1
                assert stage.owner in WORKERS and stage.lease_until is not None
            else:
                assert stage.lease_until is None

    def _what_has_ended_stays_as_it_is(self) -> None:
        now = {row.id: row.state for row in [*self.now.jobs, *self.now.stages]}
        assert {identifier: now[identifier] for identifier in self.ended} == self.ended
        over = ENDED_JOBS | ENDED_STAGES
        self.ended = {identifier: state for identifier, state in now.items() if state in over}

    def _a_job_is_what_its_stages_are(self, job: JobRow) -> None:
        states = {stage.state for stage in self.now.of(job)}
        idle = {StageState.WAITING, StageState.QUEUED, StageState.PAUSED}
        match JobState(job.state):
            case JobState.QUEUED:
                assert states <= {StageState.WAITING, StageState.QUEUED}
            case JobState.RUNNING:
                assert states & {StageState.QUEUED, StageState.RUNNING}
            case JobState.PAUSING:
                assert StageState.RUNNING in states and StageState.QUEUED not in states
            case JobState.PAUSED:
                assert not states & {StageState.QUEUED, StageState.RUNNING}
            case JobState.CANCELLING:
                assert StageState.RUNNING in states and not states & idle
            case JobState.CANCELLED:
                assert not states & {*idle, StageState.RUNNING}
            case JobState.FAILED:
                assert job.error is not None and not states & idle
            case JobState.SUCCEEDED:
                assert states == {StageState.SUCCEEDED} and job.coreset_id is not None
        assert (job.finished_at is not None) == (job.state in ENDED_JOBS)

    def _events_tell_what_happened(self, job: JobRow) -> None:
        events = self.now.events[job.id]
        assert [one.sequence for one in events] == list(range(1, job.event_count + 1))
        said = [one.kind for one in events if one.kind.startswith("job.")]
        assert said[-1] == f"job.{job.state}"
        for stage in self.now.of(job):
            of_it = [one for one in events if one.stage == stage.name and _is_about(one, stage)]
            told = [one.kind.removeprefix("stage.") for one in of_it]
            moves = [state for state in told if state in set(StageState)]
            assert (moves or ["waiting"])[-1] == stage.state
            assert "succeeded" not in moves[:-1]

    def _what_has_succeeded_has_its_result_once(self) -> None:
        assert len(self.now.keys) == len(set(self.now.keys))
        done = [stage for stage in self.now.in_state(StageState.SUCCEEDED) if stage.job_id]
        assert all(stage.artifact_id is not None for stage in done)
        selected = [stage.job_id for stage in done if stage.name == StageName.SELECT]
        assert sorted(selected) == sorted(self.now.coresets)

    def teardown(self) -> None:
        """Whatever has happened, workers that go on working bring every job to an end."""
        try:
            self._drain()
            self.all_is_well()
            assert {job.state for job in self.now.jobs} <= ENDED_JOBS
            assert {stage.state for stage in self.now.stages} <= ENDED_STAGES
        finally:
            self.database.dispose()
            self._patches.close()
            shutil.rmtree(self._folder)

    def _drain(self) -> None:
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

    # How it is done.

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
        """All are one tenant's: the job with the fewest stages running, then who has waited longest."""
        running = [other.job_id for other in self.now.in_state(StageState.RUNNING)]
        at_work = running.count(stage.job_id) if stage.job_id else 0
        return at_work, stage.queued_at, stage.id

    def _claim(self, data: st.DataObject) -> Claim:
        """Any that was ever given, the latest ones more often."""
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
                claims.died(self.database, self.settings, claim, PROBLEM)
            case "failed":
                claims.fail(self.database, claim, PROBLEM)
            case "released":
                claims.release(self.database, claim)
            case "stopped":
                claims.release(self.database, claim)

    def _pass(self, stage_id: str) -> None:
        with self.database.session() as session:
            past = database_now(session) - timedelta(seconds=1)
            session.execute(
                update(StageRow).where(StageRow.id == stage_id).values(lease_until=past)
            )

    def _goes_on(self, claim: Claim) -> bool:
        return claim.job_id is None or self.now.job(claim.job_id).state == JobState.RUNNING


def _is_about(event: EventRow, stage: StageRow) -> bool:
    return (event.data.get("part"), event.data.get("shard")) == (stage.part, stage.shard)


def _logical_clock(connection: Any, ticks: Iterator[int]) -> None:
    """SQLite's ``strftime`` counts on; what is durable is tested elsewhere."""

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


@pytest.fixture(scope="module", autouse=True)
def _template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("machine")
    database = Database(Settings(data_dir=folder))
    database.migrate()
    database.dispose()
    Machine.template = folder / "dealrec.sqlite3"
    yield


_SETTINGS = hypothesis_settings(
    max_examples=500 if LONG else 30,
    stateful_step_count=25,
    deadline=None,
    derandomize=not LONG,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(3600 if LONG else 120)
@pytest.mark.parametrize("part", range(4 if LONG else 1))
def test_whatever_happens_in_whatever_order_nothing_is_lost_doubled_or_redone(part: int) -> None:
    run_state_machine_as_test(Machine, settings=_SETTINGS)
