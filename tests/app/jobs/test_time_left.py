"""The time left of a job: all that is left counts, and no inner counter alone."""

import math
import random
import statistics
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dealrec.app.jobs.time_left import time_left
from dealrec.app.tables.jobs import JobRow, JobState, StageRow, StageState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def stage(identifier: str, state: StageState, expected: float | None, /, **values: Any) -> StageRow:
    return StageRow(
        **{
            "id": identifier,
            "name": identifier,
            "state": state.value,
            "expected_seconds": expected,
            "needs": [],
            "reused": False,
            "attempt": 1,
            **values,
        }
    )


def running(identifier: str, expected: float, elapsed: float, /, **values: Any) -> StageRow:
    started = NOW - timedelta(seconds=elapsed)
    return stage(identifier, StageState.RUNNING, expected, started_at=started, **values)


def left(*stages: StageRow, state: JobState = JobState.RUNNING) -> float | None:
    return time_left(JobRow(state=state.value), stages, NOW)


def test_waiting_stages_count_as_they_were_expected_and_results_that_are_there_take_nothing():
    reused = stage("surrogate", StageState.QUEUED, 0.0)
    waiting = stage("finetune", StageState.WAITING, 100.0, needs=["effort"])
    assert left(reused, running("effort", 60, 20), waiting) == 140


def test_a_job_that_is_slower_than_expected_expects_more_of_the_rest():
    started = NOW - timedelta(seconds=200)
    slow = stage("surrogate", StageState.SUCCEEDED, 90.0, started_at=started, finished_at=NOW)
    assert left(slow, stage("effort", StageState.WAITING, 50.0)) == pytest.approx(105)


def test_a_counter_of_the_whole_stage_corrects_and_one_of_a_part_does_not():
    half = {"done": 50, "total": 100, "unit": "sample"}
    whole = left(running("effort", 100, 100, progress=half))
    assert whole is not None and 60 < whole < 75
    assert left(running("compare", 1000, 100, progress=half)) == 900


def counted(
    done: int, seconds: float, first_done: int = 0, first_seconds: float = 0.0
) -> dict[str, Any]:
    return {
        "done": done,
        "total": 100,
        "unit": "sample",
        "seconds": seconds,
        "first_done": first_done,
        "first_seconds": first_seconds,
    }


@pytest.mark.parametrize(
    ("elapsed", "progress"),
    [
        (7, counted(25, 6, 0, 1)),  # a start of a second, and a counter that is a second old
        (3, counted(75, 3, 50, 2)),  # an earlier attempt had done half
        (40, counted(50, 40, 1, 30.2)),  # most of the stage was no part of the counter
    ],
)
def test_a_counter_that_keeps_its_pace_is_believed_without_what_came_before_it(
    elapsed: float, progress: dict[str, Any]
) -> None:
    counts = progress["done"] - progress["first_done"]
    rate = counts / (progress["seconds"] - progress["first_seconds"])
    true = (100 - progress["done"]) / rate - (elapsed - progress["seconds"])
    right = left(running("effort", elapsed + true, elapsed, progress=progress))
    assert right == pytest.approx(true, abs=0.06)
    wrong = left(running("effort", 2 * (elapsed + true), elapsed, progress=progress))
    assert wrong is not None and true < wrong < true + 0.55 * (elapsed + true)


def test_a_counter_that_has_not_moved_yet_says_nothing() -> None:
    assert left(running("effort", 100, 10, progress=counted(1, 2, 1, 2))) == 90


def test_a_short_job_finds_its_pace_and_one_stage_that_was_misjudged_by_far_does_not_set_it() -> (
    None
):
    def after(seconds: float) -> float | None:
        began = NOW - timedelta(seconds=seconds)
        done = stage("surrogate", StageState.SUCCEEDED, 2.0, started_at=began, finished_at=NOW)
        return left(done, stage("effort", StageState.WAITING, 2.0))

    assert after(4) == pytest.approx(3.0)
    assert after(200) == after(400) == pytest.approx(6.0)


def test_a_stage_that_takes_longer_than_expected_is_never_said_to_be_at_its_end():
    assert left(running("effort", 10, 100)) == 5


def test_workers_that_share_the_job_share_what_is_left_but_not_a_chain():
    shards = [running(f"effort{n}", 40, 0, name="effort") for n in range(2)]
    waiting = [stage(f"more{n}", StageState.WAITING, 40.0, name="effort") for n in range(2)]
    assert left(*shards, *waiting) == 80
    chain = stage("finetune", StageState.WAITING, 100.0, needs=["effort0", "effort1"])
    assert left(*shards, chain) == 140


def test_nothing_is_said_of_a_job_that_rests_or_of_a_stage_without_an_expectation():
    assert left(running("effort", 10, 1), state=JobState.PAUSED) is None
    assert left(stage("effort", StageState.QUEUED, None)) is None


class SimulatedJob:
    """Stages one after another, of 2 to 10 s together, as a worker runs them and tells of them.

    Each has a start that its counter does not count. What was expected is wrong by a factor for the whole
    job, which is a machine that is busier than before, and by a smaller one for each stage.
    """

    def __init__(self, draw: random.Random) -> None:
        shares = [draw.uniform(0.2, 1) for _ in range(draw.choice([3, 4]))]
        whole, machine = draw.uniform(2, 10), math.exp(draw.gauss(0, 0.2))
        self.seconds = [whole * share / sum(shares) for share in shares]
        self.starts = [min(0.5, 0.6 * seconds) for seconds in self.seconds]
        self.expected = [
            seconds * machine * math.exp(draw.gauss(0, 0.15)) for seconds in self.seconds
        ]
        self.offset = draw.random()

    def left_after(self, at: float) -> float:
        """The time left that is said so long after the start."""
        rows, began = [], 0.0
        for number, (seconds, expected) in enumerate(zip(self.seconds, self.expected, strict=True)):
            elapsed, name = at - began, f"influence{number}"
            if elapsed >= seconds:
                times = {
                    "started_at": NOW - timedelta(seconds=elapsed),
                    "finished_at": NOW - timedelta(seconds=elapsed - seconds),
                }
                rows.append(stage(name, StageState.SUCCEEDED, expected, **times))
            elif elapsed >= 0:
                told = self._progress(elapsed, seconds, self.starts[number])
                rows.append(running(name, expected, elapsed, name="influence", progress=told))
            else:
                rows.append(stage(name, StageState.WAITING, expected, name="influence"))
            began += seconds
        found = left(*rows)
        assert found is not None
        return found

    def _progress(self, elapsed: float, seconds: float, start: float) -> dict[str, Any] | None:
        """The counter as the latest beat of the worker has written it; it beats once a second."""
        beat = math.floor(elapsed - self.offset) + self.offset
        if beat <= start + 0.01:
            return None
        done = round(10_000 * (beat - start) / (seconds - start))
        return counted(done, beat, 0, start) | {"total": 10_000}


def test_after_a_fifth_of_a_job_the_median_error_is_below_a_quarter() -> None:
    draw, errors = random.Random(0), []
    for _ in range(400):
        job = SimulatedJob(draw)
        whole = sum(job.seconds)
        errors.append(abs(job.left_after(0.2 * whole) - 0.8 * whole) / (0.8 * whole))
    assert statistics.median(errors) < 0.2
    assert sorted(errors)[int(0.9 * len(errors))] < 0.5
