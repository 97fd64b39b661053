"""How long stages take here, by those of the tenant that have finished."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import median_low

from sqlalchemy.orm import Session

from dealrec.app.jobs.composition import job_workload
from dealrec.app.jobs.past import (
    Finished,
    coreset_size,
    finished_stages,
    made_keys,
)
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import JobRow
from dealrec.config.stages import (
    STAGES,
    MeasuredRate,
    Plan,
    StageName,
    StagePlace,
    Work,
    Workload,
    measured_rate,
)

START_SECONDS = 0.5
"""How long forking a stage's process and moving its files takes; the rest is proportional to the work."""
_LEAST_START = 0.9
"""The largest share of a short stage's time that its start is taken to be."""
_ABOUT = 1.25
"""The largest ratio of two amounts of work that are about the same."""
_LATEST = 9
"""How many of the newest stages of one kind count: a machine's load and its models change."""


class Basis(StrEnum):
    """Where a stage's rate comes from."""

    FINISHED = "finished_stages"
    """Stages of the tenant that did the same kind of work here."""
    CHECKED = "checked_model"
    """What ``dealrec models check`` measured of the language model; nothing alike has finished here yet."""
    REFERENCE = "reference"
    """A machine of two cores without a GPU; nothing alike has finished here yet."""


@dataclass(frozen=True)
class Expected:
    """The cost of one stage on one worker."""

    seconds: float
    peak_memory_bytes: int | None
    basis: Basis
    stages: int
    """Finished stages that the rate is the median of; 0 for another basis."""


@dataclass(frozen=True)
class _Before:
    """A finished stage: what it did, and how long that took."""

    units: float
    seconds: float
    peak_memory_bytes: int | None

    def is_about(self, units: float) -> bool:
        """Whether it did about as much work, so that nothing has to be known of how its time grows."""
        return max(units, self.units) <= _ABOUT * min(units, self.units)

    def scaled(self, units: float) -> float:
        """The seconds of ``units`` at the same rate; the start takes as long as before."""
        start = min(START_SECONDS, _LEAST_START * self.seconds)
        return start + (self.seconds - start) * units / self.units


class Pace:
    """Expects of a stage what the tenant's finished ones of the same kind have taken."""

    def __init__(self, session: Session, tenant_id: str) -> None:
        self._before: dict[tuple[StageName, tuple[object, ...]], list[_Before]] = {}
        loads: dict[str, Workload | None] = {}
        for one in finished_stages(session, tenant_id):
            if one.job.id not in loads:
                loads[one.job.id] = job_workload(one.job, one.dataset, one.trained_on)
            load = loads[one.job.id]
            if load is not None:
                self._learn(one, STAGES[one.name].work(load))

    def _learn(self, one: Finished, work: Work) -> None:
        if work.units > 0:
            before = _Before(work.units, one.seconds, one.peak_memory_bytes)
            self._before.setdefault((one.name, work.alike), []).append(before)

    def expect(self, name: StageName, work: Work, checked: MeasuredRate | None) -> Expected:
        """Return the cost of ``work``; ``checked`` is what was measured of the language model."""
        known = self._before.get((name, work.alike), [])
        like = ([one for one in known if one.is_about(work.units)] or known)[:_LATEST]
        if like:
            peaks = [one.peak_memory_bytes for one in like if one.peak_memory_bytes is not None]
            # Of two the shorter one: the first stage of its kind also loaded its libraries.
            seconds = median_low([one.scaled(work.units) for one in like])
            return Expected(seconds, max(peaks, default=None), Basis.FINISHED, len(like))
        if checked is not None:
            seconds = START_SECONDS + checked.unit_seconds * work.units
            return Expected(seconds, checked.peak_memory_bytes, Basis.CHECKED, 0)
        seconds = START_SECONDS + STAGES[name].reference_seconds * work.units
        return Expected(seconds, None, Basis.REFERENCE, 0)


def expected_seconds(
    session: Session, job: JobRow, dataset: DatasetRow, plan: Plan
) -> Mapping[StagePlace, float]:
    """Return how long each stage of a job that starts now will take; 0 where its result is there."""
    made = made_keys(session, job.tenant_id, [stage.key for stage in plan.stages])
    pace = Pace(session, job.tenant_id)
    trained_on = None
    if job.source_coreset_id is not None:
        trained_on = coreset_size(session, job.tenant_id, job.source_coreset_id)
    found = {}
    for stage in plan.stages:
        options = stage.options
        load = options if isinstance(options, Workload) else job_workload(job, dataset, trained_on)
        if stage.key in made:
            found[stage.place] = 0.0
        elif load is not None:
            checked = measured_rate(stage.spec, load.config)
            expected = pace.expect(stage.place.name, stage.spec.work(load), checked)
            found[stage.place] = round(expected.seconds, 1)
    return found
