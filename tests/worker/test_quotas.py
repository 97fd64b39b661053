"""Runs of stages use up a tenant's quotas, and end with a problem when nothing is left."""

import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import select, update

from dealrec.app.jobs.controls import request_retry
from dealrec.app.jobs.lifecycle import stages_of
from dealrec.app.keys.repository import ensure_tenant
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.storage import Storage
from dealrec.app.quotas.repository import gpu_seconds, stored_bytes
from dealrec.app.quotas.schemas import Quota
from dealrec.app.quotas.service import set_quotas
from dealrec.app.settings import Settings
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import JobRow, StageRow, StageRunRow
from dealrec.worker.child import PipeReporter
from dealrec.worker.claims import beat, claim, expire, release
from dealrec.worker.messages import Tick
from dealrec.worker.rejection import remove_rejected_files
from dealrec.worker.runner import Runner
from tests.worker.makers import TENANT, interactions, new_job, ready_dataset, upload

DAYS = 30.0


def limit(database: Database, quota: Quota, value: float | None) -> None:
    with database.session() as session:
        ensure_tenant(session, TENANT, database_now(session))
        set_quotas(session, TENANT, {quota: value}, frozenset())


def run_next(settings: Settings, database: Database, storage: Storage) -> str:
    taken = claim(database, settings, "test", queues=["cpu", "gpu"])
    assert taken is not None
    Runner(settings, database, storage, lambda: False).run(taken)
    return taken.stage_id


def runs(database: Database) -> list[StageRunRow]:
    with database.session(write=False) as session:
        return list(session.scalars(select(StageRunRow).order_by(StageRunRow.ended_at)))


def test_a_result_without_room_fails_its_job_and_a_retry_goes_on_once_there_is(
    settings: Settings, database: Database, storage: Storage, tmp_path: Path
) -> None:
    dataset_id = upload(database, storage, tmp_path)
    run_next(settings, database, storage)
    with database.session() as session:
        job = new_job(session, session.get_one(DatasetRow, dataset_id), 10)
        used = stored_bytes(session, TENANT)
    limit(database, Quota.STORED_BYTES, used + 10)
    stage = run_next(settings, database, storage)
    with database.session(write=False) as session:
        failed = session.get_one(JobRow, job.id)
        assert failed.error is not None
        assert (failed.state, failed.error["code"]) == ("failed", "quota_exceeded")
        assert (failed.error["quota"], failed.error["used"]) == ("stored_bytes", used)
        assert stored_bytes(session, TENANT) == used
    assert storage.keys(f"artifacts/{TENANT}/{stage}") == []
    assert [run.outcome for run in runs(database)] == ["succeeded", "failed"]
    limit(database, Quota.STORED_BYTES, None)
    with database.session() as session:
        request_retry(session, session.get_one(JobRow, job.id))
    run_next(settings, database, storage)
    with database.session(write=False) as session:
        assert stages_of(session, session.get_one(JobRow, job.id))[0].state == "succeeded"
        assert stored_bytes(session, TENANT) > used


def test_a_data_set_without_room_is_rejected_with_the_quota(
    settings: Settings, database: Database, storage: Storage, tmp_path: Path
) -> None:
    dataset_id = upload(database, storage, tmp_path)
    limit(database, Quota.STORED_BYTES, len(interactions()))
    run_next(settings, database, storage)
    with database.session(write=False) as session:
        dataset = session.get_one(DatasetRow, dataset_id)
        assert dataset.error is not None
        assert (dataset.state, dataset.error["code"]) == ("rejected", "quota_exceeded")
        assert stored_bytes(session, TENANT) == len(interactions())  # kept, to be read again
    remove_rejected_files(database, storage, hours=-1)
    with database.session(write=False) as session:
        assert stored_bytes(session, TENANT) == 0
    assert storage.keys(f"datasets/{TENANT}") == []


def test_only_runs_on_a_gpu_use_gpu_seconds_and_a_lost_one_until_its_lease_passed(
    settings: Settings, database: Database
) -> None:
    with database.session() as session:
        for _ in range(3):
            new_job(session, ready_dataset(session))
    for on_gpu in (True, False):
        taken = claim(database, settings, "test", queues=["gpu"])
        assert taken is not None
        beat(database, taken, used_gpu=on_gpu)
        _begun(database, taken.stage_id, seconds_ago=100)
        release(database, taken)
        with database.session() as session:
            session.execute(
                update(StageRow).where(StageRow.id == taken.stage_id).values(state="paused")
            )
    with database.session(write=False) as session:
        assert gpu_seconds(session, TENANT, DAYS) == pytest.approx(100, abs=5)
    lost = claim(database, settings, "test", queues=["gpu"])
    assert lost is not None
    beat(database, lost, used_gpu=True)
    _begun(database, lost.stage_id, seconds_ago=1000, lease_seconds=-900)
    assert expire(database, settings, lost.stage_id) == lost
    with database.session(write=False) as session:
        assert gpu_seconds(session, TENANT, DAYS) == pytest.approx(200, abs=5)
    assert [run.outcome for run in runs(database)] == ["stopped", "stopped", "lost"]
    again = claim(database, settings, "test", stage_id=lost.stage_id)
    assert again is not None
    with database.session(write=False) as session:
        assert not session.get_one(StageRow, lost.stage_id).used_gpu


def test_a_job_taken_before_the_gpu_seconds_were_used_up_ends_at_its_next_gpu_stage(
    settings: Settings, database: Database, storage: Storage
) -> None:
    with database.session() as session:
        job = new_job(session, ready_dataset(session))
    limit(database, Quota.GPU_SECONDS, 0)
    run_next(settings, database, storage)
    with database.session(write=False) as session:
        failed = session.get_one(JobRow, job.id)
        assert failed.error is not None
        assert (failed.error["code"], failed.error["quota"]) == ("quota_exceeded", "gpu_seconds")


@pytest.mark.parametrize("begun", [True, False])
def test_a_stages_process_says_that_it_uses_a_gpu_once_it_does(
    begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = SimpleNamespace(is_initialized=lambda: begun)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    read_end, write_end = os.pipe()
    PipeReporter(write_end).send(Tick())
    line = os.read(read_end, 1000)
    os.close(read_end)
    assert json.loads(line) == {"kind": "tick", "used_gpu": begun}


def _begun(
    database: Database, stage_id: str, *, seconds_ago: float, lease_seconds: float = 60
) -> None:
    with database.session() as session:
        now = database_now(session)
        session.execute(
            update(StageRow)
            .where(StageRow.id == stage_id)
            .values(
                started_at=now - timedelta(seconds=seconds_ago),
                lease_until=now + timedelta(seconds=lease_seconds),
            )
        )
