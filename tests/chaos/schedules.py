"""Ticks of schedules while the processes that make them are killed in the middle of their work.

``python -m tests.chaos.schedules`` makes 500 ticks on each database, by time and on new versions.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from multiprocessing.sharedctypes import Synchronized

from sqlalchemy import event, func, select

from dealrec.app.keys.repository import ensure_tenant
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.kit.storage import Storage
from dealrec.app.schedules.schemas import ScheduleCreate
from dealrec.app.schedules.service import create
from dealrec.app.schedules.ticks import Ticker
from dealrec.app.settings import Settings
from dealrec.app.stages.transitions import move_job
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import EventRow, JobRow, JobState, StageRow
from dealrec.app.tables.schedules import ScheduleRow, TickOutcome, TickRow
from tests.chaos.machines import migrated_databases

_FORK = multiprocessing.get_context("fork")
_WORKERS = 2
_SPARED = 0.985
"""The share of statements on the database that a process outlives."""
_END_SECONDS = 600.0
"""The seconds without a tick, after which a run is given up."""


@dataclass
class Ticked:
    """What became of the ticks."""

    ticks: int
    kills: int = 0
    lost: list[str] = field(default_factory=list)
    """Due times and versions without a tick or without its job."""
    doubled: list[str] = field(default_factory=list)
    """Those with more than one job, and jobs that no tick names."""
    broken: list[str] = field(default_factory=list)
    """Jobs that lack a stage or an event, and counts that do not agree with the ticks."""
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.broken)


class Work:
    """A data set, two schedules on it, and the clock that the workers read."""

    def __init__(self, database: Database, started: datetime) -> None:
        self.database = database
        self.started = started
        self.versions = [self._version(None)]
        with database.session() as session:
            ensure_tenant(session, "default", database_now(session))
            order = {"budget": 5, "config": {"effort": None}}
            common = {"name": "x", "dataset_id": self.versions[0], "job": order}
            asked = [{"kind": "cron", "cron": "* * * * *"}, {"kind": "on_version"}]
            rows = [
                create(
                    session, "default", ScheduleCreate.model_validate({**common, "trigger": one})
                )
                for one in asked
            ]
            rows[0].next_due = started
        self.timed, self.newer = (row.id for row in rows)

    def due(self, number: int) -> datetime:
        return self.started + timedelta(minutes=number)

    def add_version(self) -> None:
        self.versions.append(self._version(self.versions[-1]))

    def _version(self, parent: str | None) -> str:
        with self.database.session() as session:
            row = DatasetRow(
                id=new_id("ds"),
                tenant_id="default",
                name="x",
                state=DatasetState.READY.value,
                uploads={"interactions": {"key": "x", "filename": "x", "bytes": 0}},
                sha256=new_id("ds").ljust(64, "0"),
                split="leave_one_out",
                counts={"users": 60, "items": 20, "samples_per_user": 60},
                report={},
                train_lengths={"6": 60},
                created_at=database_now(session),
            )
            if parent is not None:
                row.version, row.parent_id = len(self.versions) + 1, parent
                row.root_id = self.versions[0]
            session.add(row)
        return row.id

    def settled(self, schedule: str, mark: str) -> bool:
        """Whether the tick is there. Its job is then ended, so that the next one is not skipped."""
        query = select(TickRow).where(TickRow.schedule_id == schedule, TickRow.mark == mark)
        with self.database.session() as session:
            tick = session.scalars(query).one_or_none()
            if tick is None:
                return False
            if tick.job_id is not None:
                move_job(session, session.get_one(JobRow, tick.job_id), JobState.CANCELLED)
        return True


def disturbed(settings: Settings, ticks: int, seed: int) -> Ticked:
    """Let ``ticks`` due times and as many versions come on a migrated database, one after the other."""
    found, begun = Ticked(ticks), time.monotonic()
    database = Database(settings)
    work = Work(database, datetime(2031, 1, 7, tzinfo=UTC))
    clock = _FORK.Value("d", work.started.timestamp() - 1)
    draw = random.Random(seed)
    with _killed_workers(settings, clock, draw, found) as keep_up:
        for number in range(ticks):
            by_time = number % 2 == 0
            if by_time:
                due = work.due(number // 2)
                schedule, mark = work.timed, due.isoformat()
                clock.value = due.timestamp() + draw.uniform(0, 50)
            else:
                work.add_version()
                schedule, mark = work.newer, work.versions[-1]
            since = time.monotonic()
            while not work.settled(schedule, mark):
                keep_up()
                if time.monotonic() - since > _END_SECONDS:
                    found.lost.append(f"{mark}: no tick within {_END_SECONDS:g} s")
                    break
                time.sleep(0.02)
    _judge(found, work, ticks)
    database.dispose()
    found.seconds = time.monotonic() - begun
    return found


@contextmanager
def _killed_workers(
    settings: Settings, clock: "Synchronized[float]", draw: random.Random, found: Ticked
) -> Iterator[Callable[[], None]]:
    """Processes that look for what is due, and die between two statements; others take their places."""

    def work(seed: int) -> None:
        chance = random.Random(seed)
        database = Database(settings)

        @event.listens_for(database.engine, "before_cursor_execute")
        @event.listens_for(database.engine, "commit")
        def _die(*_: object) -> None:
            if chance.random() > _SPARED:
                os.kill(os.getpid(), signal.SIGKILL)

        now = lambda _: datetime.fromtimestamp(clock.value, UTC)  # noqa: E731
        ticker = Ticker(settings, database, Storage(settings), now)
        while True:
            ticker.round()
            time.sleep(0.005)

    def begin() -> multiprocessing.process.BaseProcess:
        process = _FORK.Process(target=work, args=(draw.randrange(2**32),), daemon=True)
        process.start()
        return process

    def keep_up() -> None:
        for place, worker in enumerate(workers):
            if not worker.is_alive():
                worker.join()
                found.kills += 1
                workers[place] = begin()

    workers = [begin() for _ in range(_WORKERS)]
    try:
        yield keep_up
    finally:
        for worker in workers:
            worker.kill()
            worker.join()


def _judge(found: Ticked, work: Work, ticks: int) -> None:
    by_time = [work.due(number).isoformat() for number in range((ticks + 1) // 2)]
    expected = {work.timed: by_time, work.newer: work.versions[1:]}
    with work.database.session(write=False) as session:
        for schedule, marks in expected.items():
            rows = session.scalars(select(TickRow).where(TickRow.schedule_id == schedule)).all()
            made = {row.mark: row for row in rows if row.outcome == TickOutcome.MADE}
            jobs = session.scalars(select(JobRow).where(JobRow.schedule_id == schedule)).all()
            found.lost += sorted(set(marks) - made.keys())
            found.doubled += sorted(made.keys() - set(marks))
            named = Counter(row.job_id for row in rows)
            found.doubled += [job.id for job in jobs if named[job.id] != 1]
            there = {job.id for job in jobs}
            found.lost += [row.mark for row in made.values() if row.job_id not in there]
            of_due = Counter(job.due_at for job in jobs if job.due_at is not None)
            found.doubled += [f"{due}" for due, count in of_due.items() if count > 1]
            stored = session.get_one(ScheduleRow, schedule)
            if (stored.made, stored.missed, stored.skipped, stored.failed) != (len(marks), 0, 0, 0):
                found.broken.append(f"{schedule}: {stored.made} made, {stored.failed} failed")
        for table in (StageRow, EventRow):
            having = select(func.count(func.distinct(table.job_id)))
            if session.scalar(having) != ticks:
                found.broken.append(f"jobs without {table.__tablename__}")


def main() -> int:
    """Exit status 0 where every tick was made, and made once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=500, help="on each database")
    parser.add_argument("--seed", type=int, default=20240628)
    options = parser.parse_args()
    clean = True
    for shape, settings in migrated_databases("dealrec-ticks-"):
        found = disturbed(settings, options.ticks, options.seed)
        line = {
            "name": "schedules",
            "shape": shape,
            "ticks": found.ticks,
            "kills": found.kills,
            "lost": len(found.lost),
            "doubled": len(found.doubled),
            "broken": found.broken[:5],
            "seconds": round(found.seconds, 1),
        }
        print(json.dumps(line), flush=True)
        clean = clean and found.clean
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
