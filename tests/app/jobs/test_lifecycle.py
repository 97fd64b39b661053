from typing import Any

import pytest
from sqlalchemy import select

from dealrec.app.jobs.controls import request_cancel
from dealrec.app.jobs.lifecycle import (
    advance,
    dataset_ready,
    dataset_rejected,
    stages_of,
)
from dealrec.app.kit.database import Database
from dealrec.app.kit.errors import Conflict
from dealrec.app.stages.transitions import (
    JOB_MOVES,
    STAGE_MOVES,
    IllegalMove,
    lock_job,
    move_job,
    move_stage,
)
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import EventRow, JobRow, JobState, StageRow, StageState
from dealrec.config import PruneConfig, Sampling
from dealrec.config.stages.plan import count_samples
from dealrec.errors import InputError
from tests.worker.makers import TINY, new_job, ready_dataset


def _states(database: Database, job: JobRow) -> dict[str, str]:
    with database.session(write=False) as session:
        return {stage.name: stage.state for stage in stages_of(session, job)}


def _finish(database: Database, job: JobRow, name: str) -> None:
    with database.session() as session:
        lock_job(session, job.id)
        stage = session.scalars(
            select(StageRow).where(StageRow.job_id == job.id, StageRow.name == name)
        ).one()
        if session.get_one(JobRow, job.id).state == JobState.QUEUED:
            move_job(session, session.get_one(JobRow, job.id), JobState.RUNNING)
        move_stage(session, stage, StageState.RUNNING, new_fence=1)
        move_stage(session, stage, StageState.SUCCEEDED)
        advance(session, stage)


def test_a_job_queues_its_stages_as_what_they_need_gets_done(database: Database) -> None:
    config = {name: value for name, value in TINY.items() if name != "effort"}
    with database.session() as session:
        job = new_job(session, ready_dataset(session), 0.5, config)
        assert job.budget_samples == 15
        assert PruneConfig.parse(job.config).influence.target == "validation"
        assert all(len(stage.key or "") == 64 for stage in stages_of(session, job))
    queued, waiting, done = "queued", "waiting", "succeeded"
    assert _states(database, job) == {
        "surrogate": queued,
        "influence": waiting,
        "effort": queued,
        "select": waiting,
    }
    _finish(database, job, "surrogate")
    _finish(database, job, "influence")
    assert _states(database, job)["select"] == waiting
    _finish(database, job, "effort")
    assert _states(database, job)["select"] == queued
    _finish(database, job, "select")
    assert set(_states(database, job).values()) == {done}
    with database.session(write=False) as session:
        assert session.get_one(JobRow, job.id).state == JobState.SUCCEEDED
        kinds = session.scalars(
            select(EventRow.kind).where(EventRow.job_id == job.id).order_by(EventRow.sequence)
        ).all()
    assert kinds[0] == "job.queued" and kinds[-1] == "job.succeeded"


def _validating(database: Database) -> DatasetRow:
    with database.session() as session:
        dataset = ready_dataset(session)
        dataset.state = DatasetState.VALIDATING.value
    return dataset


def test_a_job_waits_for_its_data_set_and_starts_with_it(database: Database) -> None:
    dataset = _validating(database)
    with database.session() as session:
        job, greedy = new_job(session, dataset), new_job(session, dataset, 31)
        assert job.budget_samples is None
    with database.session() as session:
        row = session.get_one(DatasetRow, dataset.id)
        row.state = DatasetState.READY.value
        session.flush()
        dataset_ready(session, row)
    assert _states(database, job)["surrogate"] == StageState.QUEUED
    assert set(_states(database, greedy).values()) == {StageState.CANCELLED}
    with database.session(write=False) as session:
        failed = session.get_one(JobRow, greedy.id)
    assert failed.state == JobState.FAILED
    assert failed.error is not None and failed.error["code"] == "budget_too_large"


def test_a_rejected_data_set_fails_the_jobs_that_waited(database: Database) -> None:
    dataset = _validating(database)
    with database.session() as session:
        job = new_job(session, dataset)
    with database.session() as session:
        dataset_rejected(session, session.get_one(DatasetRow, dataset.id), {"code": "empty_file"})
    with database.session(write=False) as session:
        error = session.get_one(JobRow, job.id).error
    assert error == {"code": "empty_file", "stage": "ingest"}


def test_a_job_that_cannot_run_is_refused_and_leaves_nothing(database: Database) -> None:
    with database.session() as session:
        dataset = ready_dataset(session)
    with pytest.raises(InputError) as caught, database.session() as session:
        new_job(session, dataset, 31)
    assert caught.value.code == "budget_too_large"
    with database.session(write=False) as session:
        assert session.scalars(select(JobRow)).all() == []
        assert session.scalars(select(StageRow)).all() == []


def test_a_job_on_a_rejected_data_set_is_a_conflict(database: Database) -> None:
    dataset = _validating(database)
    with database.session() as session:
        session.get_one(DatasetRow, dataset.id).state = DatasetState.REJECTED.value
    with pytest.raises(Conflict) as caught, database.session() as session:
        new_job(session, dataset)
    assert caught.value.code == "dataset_rejected"


def test_cancelling_before_anything_runs_is_done_at_once(database: Database) -> None:
    with database.session() as session:
        job = new_job(session, ready_dataset(session))
    with database.session() as session:
        request_cancel(session, job)
    assert set(_states(database, job).values()) == {StageState.CANCELLED}
    with pytest.raises(Conflict) as caught, database.session() as session:
        request_cancel(session, job)
    assert caught.value.to_problem()["state"] == "cancelled"


@pytest.mark.parametrize("state", list(JOB_MOVES))
def test_a_job_moves_only_as_the_table_says(state: Any, tmp_path: Any) -> None:
    job = JobRow(id="job_x", state=state.value)
    database = _empty(tmp_path)
    for to in JOB_MOVES:
        if to not in JOB_MOVES[state]:
            with pytest.raises(IllegalMove), database.session() as session:
                move_job(session, job, to)
    database.dispose()


@pytest.mark.parametrize("state", list(STAGE_MOVES))
def test_a_stage_moves_only_as_the_table_says(state: Any, tmp_path: Any) -> None:
    stage = StageRow(id="st_x", state=state.value, fence=0)
    database = _empty(tmp_path)
    for to in STAGE_MOVES:
        if to not in STAGE_MOVES[state]:
            with pytest.raises(IllegalMove), database.session() as session:
                move_stage(session, stage, to)
    database.dispose()


def _empty(folder: Any) -> Database:
    from dealrec.app.settings import Settings

    return Database(Settings(data_dir=folder))


def test_samples_are_counted_from_the_lengths_of_training_sequences() -> None:
    lengths = {"1": 4, "2": 3, "5": 2}
    assert count_samples(lengths, Sampling.PER_USER, 1) == 5
    assert count_samples(lengths, Sampling.PER_USER, 2) == 2
    assert count_samples(lengths, Sampling.PER_INTERACTION, 1) == 3 + 8
    assert count_samples(lengths, Sampling.PER_INTERACTION, 3) == 4
