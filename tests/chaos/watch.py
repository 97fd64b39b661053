"""The stages that run at this moment, as the database says."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from dealrec.app.kit.database import Database
from dealrec.app.tables.jobs import StageRow, StageState
from dealrec.config.stages import StageName, StagePart
from tests.worker.processes import stages_below

_PATIENCE = 10.0
_LOOK_SECONDS = 0.02
_SLACK = 1.0
"""A stage may be ahead of the one that was aimed at least often by so many."""


class Moment(StrEnum):
    """When in the life of a stage it is disturbed."""

    CLAIMED = "claimed"
    """The process starts, and loads its libraries."""
    INSIDE = "in progress"
    """It has begun its work (the folder for its result is there), and not ended it."""
    ENDING = "ending"
    """All of its work is done, the result is not published."""
    BOUNDARY = "just ended"
    """It has succeeded this instant; the next stage is queued."""


LIFE = tuple(Moment)
"""In the order of a stage's life."""
WITH_A_PROCESS = (Moment.CLAIMED, Moment.INSIDE)
"""When the stage has a process of its own."""
STAGES = (
    *(f"{StageName.EFFORT} {part}" for part in StagePart),
    *(name for name in StageName if name is not StageName.COMPARE),
)
"""The name of a stage here: it includes the part of a stage that several workers share."""

_WEIGHTS = {Moment.CLAIMED: 1, Moment.INSIDE: 3, Moment.ENDING: 1, Moment.BOUNDARY: 1}
"""How often each moment is aimed at."""
_LONGEST_HOLD = {Moment.CLAIMED: 2.5, Moment.INSIDE: 2.0, Moment.ENDING: 0.0, Moment.BOUNDARY: 0.0}
"""Seconds after the moment has come."""


@dataclass(frozen=True)
class Running:
    """A stage and the process that claimed it."""

    stage_id: str
    job_id: str | None
    name: str
    """The stage's name with its part if several workers share it: ``effort shard``."""
    state: str
    owner: int
    """The id of the process that holds the claim (or held it last)."""
    deaths: int
    moment: Moment

    @property
    def place(self) -> tuple[str, Moment]:
        """The key that hits are counted by."""
        return self.name, self.moment

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
            return next(iter(stages_below(owner)), None)
        except psutil.Error:
            return None


# Columns, not objects: this is asked fifty times a second.
_LOOK = select(
    StageRow.id,
    StageRow.job_id,
    StageRow.name,
    StageRow.part,
    StageRow.state,
    StageRow.owner,
    StageRow.fence,
    StageRow.deaths,
    StageRow.progress,
).where(StageRow.state.in_([StageState.RUNNING, StageState.SUCCEEDED]))


class Watch:
    """Looks at the stages again and again; ``folder`` is where the services keep their files."""

    def __init__(
        self, database: Database, folder: Path, keep_up: Callable[[], None], draw: random.Random
    ) -> None:
        self._database = database
        self._folder = folder
        self._keep_up = keep_up
        self._draw = draw
        self._done: set[str] = set()
        self._aimed: Counter[tuple[str, Moment]] = Counter()
        self._seen: set[str] = set()

    def look(self) -> list[Running]:
        """The stages that run or have succeeded since the last look; none while the database is away."""
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
                row.name if row.part is None else f"{row.name} {row.part}",
                row.state,
                int(row.owner.split(":")[1]),
                row.deaths,
                self._moment(row),
            )
            for row in rows
            if row.owner and (row.state == StageState.RUNNING or row.id in fresh)
        ]

    def find(self, suits: Callable[[Running], bool], moments: tuple[Moment, ...]) -> Running | None:
        """A running stage at one of ``moments``: those that were aimed at least often so far.

        Waits until the stage comes to that moment, and a little longer, so that not always the same
        instruction is hit; a stage that is past it by then is given as it is then. ``None``: nothing
        ran for long, or it suits no longer.
        """
        aim = self._aim(suits, moments)
        if aim is None:
            return None
        stage_id, moment = aim
        # Most are short, for stages whose work is.
        hold = self._draw.random() ** 3 * _LONGEST_HOLD[moment]
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            now = next((one for one in self.look() if one.stage_id == stage_id), None)
            if now is None or not suits(now):
                return None
            if now.moment is moment and hold:
                time.sleep(hold)
                hold = 0.0
            elif LIFE.index(now.moment) >= LIFE.index(moment):
                return now if now.moment in moments else None
            else:
                time.sleep(_LOOK_SECONDS)
        return None

    def _aim(
        self, suits: Callable[[Running], bool], moments: tuple[Moment, ...]
    ) -> tuple[str, Moment] | None:
        """A stage that runs now, and a moment that it has before it.

        One that was aimed at far more often than others is left alone for a while: its job comes to
        its later stages only then.
        """
        patience = time.monotonic() + _PATIENCE
        while time.monotonic() < patience + _PATIENCE:
            reach = [
                (running, moment)
                for running in self.look()
                if suits(running)
                for moment in LIFE[LIFE.index(running.moment) :]
                if moment in moments
            ]
            self._seen.update(running.name for running, _ in reach)
            self._draw.shuffle(reach)
            least = min(reach, key=self._turn, default=None)
            in_turn = least is not None and self._turn(least) <= self._fewest() + _SLACK
            if least is not None and (in_turn or time.monotonic() > patience):
                running, moment = least
                self._aimed[running.name, moment] += 1
                return running.stage_id, moment
            time.sleep(_LOOK_SECONDS)
        return None

    def _turn(self, aim: tuple[Running, Moment]) -> float:
        """How often it was aimed at, for its weight."""
        running, moment = aim
        return self._aimed[running.name, moment] / _WEIGHTS[moment]

    def _fewest(self) -> float:
        """Aims inside the stage that had the fewest, for their weight."""
        return min(
            self._aimed[name, Moment.INSIDE] / _WEIGHTS[Moment.INSIDE] for name in self._seen
        )

    def _moment(self, row: Any) -> Moment:
        if row.state == StageState.SUCCEEDED:
            return Moment.BOUNDARY
        if row.progress and row.progress["done"] >= row.progress["total"]:
            return Moment.ENDING
        works = [self._folder / "work", *self._folder.glob("*/work")]
        begun = any((work / f"{row.id}-{row.fence}" / "out").exists() for work in works)
        return Moment.INSIDE if begun or row.progress else Moment.CLAIMED
