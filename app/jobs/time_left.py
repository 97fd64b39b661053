"""The time until a job ends: one figure from all stages that are left."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from dealrec.app.tables.jobs import (
    ENDED_STAGES,
    JobRow,
    JobState,
    StageRow,
    StageState,
    StoredProgress,
)
from dealrec.config.stages import STAGES, Phase, StageName

_PRIOR_SECONDS = 10.0
"""How much finished work it takes until the pace of this job counts as much as what was expected."""
_PRIOR_SHARE = 0.5
"""The share of a short job that is finished work enough for that."""
_MOST_PACE = 3.0
"""A stage that was misjudged by more than this says nothing about the others."""
_LEAST_PRIOR = 0.1
_LEAST_LEFT = 0.05
"""The share of its time that a running stage still needs at least."""


def time_left(job: JobRow, stages: Sequence[StageRow], now: datetime) -> float | None:
    """Return the seconds until the job ends if its stages take as long as was expected when it started.

    What has finished since corrects the expectation for the rest. A stage whose result is there already
    was expected to take none. Workers that share the job now go on sharing it. ``None`` where the job does
    not run, or where a stage that is left has no expectation, as in jobs from before version 0.2.
    """
    left = [stage for stage in stages if stage.state not in ENDED_STAGES]
    if job.state != JobState.RUNNING or any(stage.expected_seconds is None for stage in left):
        return None
    pace = _pace(stages)
    seconds = {stage.id: _seconds_left(stage, pace, now) for stage in left}
    at_once = max(1, sum(stage.state == StageState.RUNNING for stage in left))
    return round(max(sum(seconds.values()) / at_once, _longest_chain(left, seconds)), 1)


def _pace(stages: Sequence[StageRow]) -> float:
    """How many times longer the finished stages took than was expected, 1.0 before any has."""
    whole = sum(stage.expected_seconds or 0.0 for stage in stages)
    taken = expected = min(_PRIOR_SECONDS, max(_PRIOR_SHARE * whole, _LEAST_PRIOR))
    for stage in stages:
        done = stage.state == StageState.SUCCEEDED and not stage.reused and stage.attempt == 1
        if done and stage.expected_seconds and stage.started_at and stage.finished_at:
            taken += (stage.finished_at - stage.started_at).total_seconds()
            expected += stage.expected_seconds
    return min(_MOST_PACE, max(1 / _MOST_PACE, taken / expected))


def _seconds_left(stage: StageRow, pace: float, now: datetime) -> float:
    assert stage.expected_seconds is not None
    whole = stage.expected_seconds * pace
    if stage.state != StageState.RUNNING or stage.started_at is None:
        return whole
    elapsed = max(0.0, (now - stage.started_at).total_seconds())
    done = _share_done(stage)
    by_counter = _by_counter(stage.progress, elapsed)
    if done and by_counter is not None:
        # The counter's own figure counts the more the farther it is; at first it says little.
        weight = math.sqrt(done)
        whole = (1 - weight) * whole + weight * by_counter
    return max(whole - elapsed, _LEAST_LEFT * max(whole, elapsed))


def _by_counter(progress: StoredProgress | None, elapsed: float) -> float | None:
    """The seconds of the whole stage if its counter goes on as fast as it has gone since it was first told.

    What came before the first count is no part of its speed: the start of the stage, the reading of its
    data, and the work of an earlier attempt.
    """
    if progress is None or not progress["done"]:
        return None
    if "seconds" not in progress:  # of a worker from before this was stored
        return elapsed * progress["total"] / progress["done"]
    counted = progress["done"] - progress["first_done"]
    seconds = progress["seconds"] - progress["first_seconds"]
    if counted <= 0 or seconds <= 0:
        return None
    return progress["seconds"] + seconds * (progress["total"] - progress["done"]) / counted


def _share_done(stage: StageRow) -> float:
    """The share of the whole stage that is done; 0 where its counter counts only a part of the work."""
    if stage.progress is None or STAGES[StageName(stage.name)].phase is Phase.COMPARISON:
        return 0.0
    return stage.progress["done"] / max(1, stage.progress["total"])


def _longest_chain(left: Sequence[StageRow], seconds: Mapping[str, float]) -> float:
    """The seconds of the longest chain of stages that wait for one another."""
    needs = {stage.id: [need for need in stage.needs if need in seconds] for stage in left}
    ends: dict[str, float] = {}

    def end(identifier: str) -> float:
        if identifier not in ends:
            before = max((end(need) for need in needs[identifier]), default=0.0)
            ends[identifier] = before + seconds[identifier]
        return ends[identifier]

    return max(map(end, seconds), default=0.0)
