"""What runs at this moment, as the database says."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import psutil
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from app.jobs.models import StageRow, StageState
from app.kit.database import Database

_PATIENCE = 10.0


class Moment(StrEnum):
    """When in the life of a stage it is disturbed."""

    CLAIMED = "claimed"
    """Just claimed: its process starts."""
    INSIDE = "inside"
    """Its process reports progress."""
    ENDING = "ending"
    """All of its work is done, the result is not published."""
    BOUNDARY = "boundary"
    """It has succeeded this instant; the next stage is queued."""


@dataclass(frozen=True)
class Running:
    """A stage and the process that claimed it."""

    stage_id: str
    job_id: str | None
    name: str
    state: str
    owner: int
    """The id of the process that holds the claim (or held it last)."""
    deaths: int
    moment: Moment

    def owner_process(self) -> psutil.Process | None:
        try:
            return psutil.Process(self.owner)
        except psutil.NoSuchProcess:
            return None

    def child(self) -> psutil.Process | None:
        """The stage's process, if it runs."""
        owner = self.owner_process()
        if owner is None:
            return None
        try:
            for process in owner.children():
                if "worker.child" in process.cmdline():
                    return process
        except psutil.Error:
            pass
        return None


# Columns, not objects: this is asked fifty times a second.
_LOOK = select(
    StageRow.id,
    StageRow.job_id,
    StageRow.name,
    StageRow.state,
    StageRow.owner,
    StageRow.deaths,
    StageRow.progress,
).where(StageRow.state.in_([StageState.RUNNING, StageState.SUCCEEDED]))


class Watch:
    """Looks at the stages again and again."""

    def __init__(self, database: Database, keep_up: Callable[[], None]) -> None:
        self._database = database
        self._keep_up = keep_up
        self._done: set[str] = set()
        self._hits: Counter[tuple[str, Moment]] = Counter()

    def look(self) -> list[Running]:
        """What runs, and what has succeeded since the last look; nothing while the database is away."""
        self._keep_up()
        try:
            with self._database.session(write=False) as session:
                rows = session.execute(_LOOK).all()
        except SQLAlchemyError:
            return []
        done = {row.id for row in rows if row.state == StageState.SUCCEEDED}
        fresh, self._done = done - self._done, done
        return [
            Running(
                row.id,
                row.job_id,
                row.name,
                row.state,
                int(row.owner.split(":")[1]),
                row.deaths,
                _moment(row),
            )
            for row in rows
            if row.owner and (row.state == StageState.RUNNING or row.id in fresh)
        ]

    def find(
        self, name: str, moment: Moment, seconds: float, suits: Callable[[Running], bool]
    ) -> Running | None:
        """The next stage ``name`` at ``moment``; after ``seconds``, whatever was found least often."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline + _PATIENCE:
            found = [running for running in self.look() if suits(running)]
            for running in found:
                if (running.name, running.moment) == (name, moment):
                    return self._chosen(running)
            if found and time.monotonic() > deadline:
                return self._chosen(min(found, key=lambda one: self._hits[one.name, one.moment]))
            time.sleep(0.02)
        return None

    def _chosen(self, running: Running) -> Running:
        self._hits[running.name, running.moment] += 1
        return running


def _moment(row: Any) -> Moment:
    if row.state == StageState.SUCCEEDED:
        return Moment.BOUNDARY
    if not row.progress:
        return Moment.CLAIMED
    if row.progress["done"] >= row.progress["total"]:
        return Moment.ENDING
    return Moment.INSIDE


def pause(draw: random.Random, moment: Moment) -> None:
    """So that not always the same instruction is hit: a process takes seconds to start."""
    if moment is Moment.CLAIMED:
        time.sleep(draw.uniform(0.0, 2.5))
    elif moment is Moment.INSIDE:
        time.sleep(draw.uniform(0.0, 0.5))
