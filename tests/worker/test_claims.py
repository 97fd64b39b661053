import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from dealrec.app.jobs.controls import request_cancel, request_pause, request_resume, request_retry
from dealrec.app.jobs.lifecycle import stages_of
from dealrec.app.kit.database import Database
from dealrec.app.kit.errors import Conflict
from dealrec.app.settings import Settings
from dealrec.app.stages.queueing import queue_stage
from dealrec.app.stages.transitions import Stale
from dealrec.app.tables.jobs import (
    EventRow,
    JobRow,
    JobState,
    StageRow,
    StageState,
    StoredProgress,
)
from dealrec.worker import claims
from dealrec.worker.claims import Claim, Standing, beat, claim
from dealrec.worker.messages import Event
from dealrec.worker.problems import StageDied
from tests.worker.makers import TINY, new_job, ready_dataset

DEATH = StageDied("exit status 1")
PROBLEM = DEATH.to_problem()


def _stage(database: Database, stage_id: str) -> StageRow:
    with database.session(write=False) as session:
        return session.get_one(StageRow, stage_id)


def _job(database: Database, claimed: Claim) -> JobRow:
    with database.session(write=False) as session:
        return session.get_one(JobRow, claimed.job_id)


@pytest.fixture
def claimed(database: Database, settings: Settings) -> Claim:
    with database.session() as session:
        new_job(session, ready_dataset(session))
    taken = claim(database, settings, "one", queues=["cpu", "gpu"])
    assert taken is not None
    return taken


def test_many_workers_claim_each_stage_once(database: Database, settings: Settings) -> None:
    with database.session() as session:
        dataset = ready_dataset(session)
        for _ in range(24):
            new_job(session, dataset)

    def drain(worker: int) -> list[str]:
        taken = []
        while (one := claim(database, settings, f"w{worker}", queues=["cpu", "gpu"])) is not None:
            taken.append(one.stage_id)
        return taken

    with ThreadPoolExecutor(6) as pool:
        taken = [stage for stages in pool.map(drain, range(6)) for stage in stages]
    # A worker that loses every race of a round may see nothing; the next round finds the rest.
    taken += drain(99)
    assert len(taken) == len(set(taken)) == 24
    with database.session(write=False) as session:
        assert all(
            stage.fence == stage.attempt == 1
            for stage in session.scalars(
                select(StageRow).where(StageRow.state == StageState.RUNNING)
            )
        )


def test_a_duplicate_message_finds_nothing(
    database: Database, settings: Settings, claimed: Claim
) -> None:
    assert claim(database, settings, "two", stage_id=claimed.stage_id) is None


def test_a_worker_takes_only_from_its_queues(database: Database, settings: Settings) -> None:
    with database.session() as session:
        new_job(session, ready_dataset(session))
    assert claim(database, settings, "one", queues=["cpu"]) is None
    assert claim(database, settings, "one", queues=["gpu"]) is not None


def test_a_tenant_with_many_jobs_does_not_keep_another_waiting(
    database: Database, settings: Settings
) -> None:
    with database.session() as session:
        many, few = ready_dataset(session, "tn_many"), ready_dataset(session, "tn_few")
        for _ in range(6):
            new_job(session, many)
    with database.session() as session:
        for _ in range(2):
            new_job(session, few)
    taken = [claim(database, settings, "one", queues=["gpu"]) for _ in range(5)]
    order = [one.tenant_id for one in taken if one is not None]
    assert order[0] == "tn_many"  # nobody has been served: who came first
    assert order.count("tn_few") == 2
    assert order[-1] == "tn_many"


def test_one_worker_serves_tenants_in_turn(database: Database, settings: Settings) -> None:
    with database.session() as session:
        for tenant in ("tn_many", "tn_few"):
            dataset = ready_dataset(session, tenant)
            for _ in range(3):
                new_job(session, dataset)
    order = []
    for _ in range(4):
        taken = claim(database, settings, "one", queues=["gpu"])
        assert taken is not None
        order.append(taken.tenant_id)
        claims.fail(database, taken, PROBLEM)
        time.sleep(0.01)
    assert order == ["tn_many", "tn_few"] * 2


def test_a_job_of_many_shards_leaves_the_next_worker_to_another_job(
    database: Database, settings: Settings
) -> None:
    with database.session() as session:
        dataset = ready_dataset(session)
        wide = new_job(session, dataset, config={**TINY, "effort": {"shard_samples": 5}})
        plan = next(stage for stage in stages_of(session, wide) if stage.part == "plan")
        for stage in stages_of(session, wide):
            if stage.part == "shard":
                queue_stage(session, stage)
    with database.session() as session:
        small = new_job(session, dataset)
    assert plan.queue == "cpu"
    taken = [claim(database, settings, "one", queues=["gpu"]) for _ in range(2)]
    assert [one.job_id for one in taken if one is not None] == [wide.id, small.id]


def test_an_expired_lease_gives_the_stage_to_another_and_the_stale_worker_changes_nothing(
    database: Database, settings: Settings, claimed: Claim
) -> None:
    short = settings.model_copy(update={"lease_seconds": 0.01})
    assert beat(database, claimed, lease_seconds=0.01) is Standing.GOOD
    time.sleep(0.1)
    assert claims.expire(database, short, claimed.stage_id)
    assert not claims.expire(database, short, claimed.stage_id)
    second = claim(database, settings, "two", stage_id=claimed.stage_id)
    assert second is not None and second.fence == claimed.fence + 1
    before = _stage(database, claimed.stage_id)
    assert (before.lost_leases, before.deaths) == (1, 0)

    progress = StoredProgress(done=9, total=9, unit="epoch")
    assert beat(database, claimed, lease_seconds=99, progress=progress) is Standing.LOST
    for write in (
        lambda: claims.died(database, settings, claimed, DEATH),
        lambda: claims.fail(database, claimed, PROBLEM),
        lambda: claims.release(database, claimed),
    ):
        with pytest.raises(Stale):
            write()
    after = _stage(database, claimed.stage_id)
    assert (after.owner, after.progress, after.state) == ("two", None, StageState.RUNNING)
    assert after.lease_until == before.lease_until


def test_a_renewed_lease_does_not_expire(
    database: Database, settings: Settings, claimed: Claim
) -> None:
    beat(database, claimed, lease_seconds=60)
    assert not claims.expire(database, settings, claimed.stage_id)


def test_deaths_are_counted_and_end_in_failure(database: Database, settings: Settings) -> None:
    with database.session() as session:
        job = new_job(session, ready_dataset(session))
    for death in range(1, settings.max_deaths + 1):
        taken = claim(database, settings, "one", queues=["gpu"])
        assert taken is not None
        claims.died(database, settings, taken, DEATH)
        assert _stage(database, taken.stage_id).deaths == death
    assert taken is not None
    ended = _job(database, taken)
    assert ended.state == JobState.FAILED
    assert ended.error == {**DEATH.to_problem(), "stage": "surrogate"}
    with database.session(write=False) as session:
        states = session.scalars(select(StageRow.state).where(StageRow.job_id == job.id)).all()
    assert sorted(states) == ["cancelled", "cancelled", "failed"]


def test_a_shutdown_is_no_attempt(database: Database, settings: Settings, claimed: Claim) -> None:
    claims.release(database, claimed)
    stage = _stage(database, claimed.stage_id)
    assert (stage.state, stage.attempt, stage.deaths) == (StageState.QUEUED, 0, 0)


def test_too_many_lost_leases_fail_the_stage(
    database: Database, settings: Settings, claimed: Claim
) -> None:
    strict = settings.model_copy(update={"max_lost_leases": 1})
    beat(database, claimed, lease_seconds=0.01)
    time.sleep(0.1)
    assert claims.expire(database, strict, claimed.stage_id)
    error = _job(database, claimed).error
    assert error is not None and error["code"] == "worker_lost"


def test_a_cancelled_job_stops_its_running_stage(
    database: Database, settings: Settings, claimed: Claim
) -> None:
    with database.session() as session:
        request_cancel(session, session.get_one(JobRow, claimed.job_id))
    assert _job(database, claimed).state == JobState.CANCELLING
    assert beat(database, claimed) is Standing.STOP
    claims.release(database, claimed)
    assert _job(database, claimed).state == JobState.CANCELLED


def test_a_lease_lost_while_cancelling_ends_the_cancel(
    database: Database, settings: Settings, claimed: Claim
) -> None:
    with database.session() as session:
        request_cancel(session, session.get_one(JobRow, claimed.job_id))
    beat(database, claimed, lease_seconds=0.01)
    time.sleep(0.1)
    claims.expire(database, settings, claimed.stage_id)
    assert _job(database, claimed).state == JobState.CANCELLED


def test_a_paused_job_stops_its_running_stage_and_goes_on_with_it(
    database: Database, settings: Settings, claimed: Claim
) -> None:
    _ask(database, claimed, request_pause)
    assert _job(database, claimed).state == JobState.PAUSING
    assert beat(database, claimed) is Standing.STOP
    claims.release(database, claimed)
    assert _job(database, claimed).state == JobState.PAUSED
    stage = _stage(database, claimed.stage_id)
    assert (stage.state, stage.attempt, stage.owner) == (StageState.PAUSED, 0, None)
    assert claim(database, settings, "two", queues=["cpu", "gpu"]) is None

    started = _job(database, claimed).started_at
    _ask(database, claimed, request_resume)
    assert _job(database, claimed).state == JobState.RUNNING
    again = claim(database, settings, "two", queues=["gpu"])
    assert again is not None and again.stage_id == claimed.stage_id
    assert _job(database, claimed).started_at == started


def test_a_lease_lost_while_pausing_ends_the_pause(
    database: Database, settings: Settings, claimed: Claim
) -> None:
    _ask(database, claimed, request_pause)
    beat(database, claimed, lease_seconds=0.01)
    time.sleep(0.1)
    claims.expire(database, settings, claimed.stage_id)
    assert _job(database, claimed).state == JobState.PAUSED


def test_a_paused_job_can_be_cancelled(
    database: Database, settings: Settings, claimed: Claim
) -> None:
    _ask(database, claimed, request_pause)
    _ask(database, claimed, request_cancel)
    assert _job(database, claimed).state == JobState.CANCELLING
    claims.release(database, claimed)
    assert _job(database, claimed).state == JobState.CANCELLED
    assert _stage(database, claimed.stage_id).state == StageState.CANCELLED


def test_a_failed_job_that_is_retried_gets_all_its_attempts_again(
    database: Database, settings: Settings, claimed: Claim
) -> None:
    claims.fail(database, claimed, PROBLEM)
    assert _job(database, claimed).state == JobState.FAILED
    _ask(database, claimed, request_retry)
    job, stage = _job(database, claimed), _stage(database, claimed.stage_id)
    assert (job.state, job.error, job.finished_at) == (JobState.RUNNING, None, None)
    assert (stage.state, stage.error, stage.attempt) == (StageState.QUEUED, None, 0)
    again = claim(database, settings, "two", queues=["gpu"])
    assert again is not None and again.fence == claimed.fence + 1
    with pytest.raises(Stale):
        claims.release(database, claimed)


@pytest.mark.parametrize(
    ("request_it", "code"),
    [
        (request_resume, "job_not_paused"),
        (request_retry, "job_not_failed"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_present_state(
    database: Database, claimed: Claim, request_it: Any, code: str
) -> None:
    with pytest.raises(Conflict) as caught:
        _ask(database, claimed, request_it)
    assert caught.value.code == code
    assert "running" in str(caught.value)


def test_an_ended_job_is_not_paused(database: Database, claimed: Claim) -> None:
    claims.fail(database, claimed, PROBLEM)
    with pytest.raises(Conflict) as caught:
        _ask(database, claimed, request_pause)
    assert caught.value.code == "job_not_active"


def _ask(database: Database, claimed: Claim, request_it: Any) -> None:
    with database.session() as session:
        request_it(session, session.get_one(JobRow, claimed.job_id))


def test_events_have_no_gaps_however_many_write_at_once(
    database: Database, settings: Settings, claimed: Claim
) -> None:
    def report(number: int) -> None:
        beat(database, claimed, events=[Event(event="note", data={"number": number})])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(report, range(40)))
    with database.session(write=False) as session:
        sequences = session.scalars(
            select(EventRow.sequence)
            .where(EventRow.job_id == claimed.job_id)
            .order_by(EventRow.sequence)
        ).all()
        assert session.get_one(JobRow, claimed.job_id).event_count == len(sequences)
    assert list(sequences) == list(range(1, len(sequences) + 1))
