"""Claims, beats, lost leases, ends, people and the sweeper in any order, on a real database.

``--hypothesis-profile=chaos`` runs it thousands of times.
"""

import shutil
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test
from sqlalchemy import select

from dealrec.app.jobs.controls import request_cancel, request_pause, request_resume, request_retry
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.settings import Settings
from dealrec.app.stages.queueing import plan_ingest
from dealrec.app.stages.transitions import Stale
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import (
    ENDED_JOBS,
    ENDED_STAGES,
    JobRow,
    JobState,
    StageRow,
    StageState,
    StoredProgress,
)
from dealrec.worker import claims
from dealrec.worker.claims import Standing
from dealrec.worker.sweeper import sweep
from tests.worker.invariants import Invariants
from tests.worker.makers import TENANT
from tests.worker.world import WORKERS

LONG = hypothesis_settings.get_current_profile_name() == "chaos"


class Machine(Invariants):
    """Three workers, people and the sweeper against one database."""

    # What people do.

    @precondition(lambda self: len(self.now.jobs) < 3)
    @rule(seed=st.integers(0, 2), sharded=st.booleans())
    def post_a_job(self, seed: int, sharded: bool) -> None:
        """Post a job on a ready data set; the same seed gives the same keys, so that results are shared."""
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
                uploads={"interactions": {"key": "none", "filename": "none.csv", "bytes": 0}},
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
            rows: tuple[JobRow | StageRow, ...] = (job, *self.now.of(job))
            for row in rows:
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
        """Deliver a message of any stage: twice, late, or after the stage has ended."""
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
        progress = StoredProgress(done=1, total=2, unit="epoch")
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
    @rule(data=st.data(), how=st.sampled_from(["died", "failed", "released"]))
    def end_otherwise(self, data: st.DataObject, how: str) -> None:
        claim = self._claim(data)
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
            assert all(lease and lease > now for lease in session.scalars(running))

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
