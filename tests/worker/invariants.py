"""Invariants of all rows, whatever has happened."""

from collections import Counter

from hypothesis.stateful import invariant

from dealrec.app.tables.jobs import (
    ENDED_JOBS,
    ENDED_STAGES,
    EventRow,
    JobRow,
    JobState,
    StageRow,
    StageState,
)
from dealrec.config.stages import StageName
from tests.worker.world import WORKERS, World


class Invariants(World):
    """The rows are looked at between any two steps."""

    @invariant()
    def all_is_well(self) -> None:
        """Everything below, on one look at the rows."""
        self._look()
        self._a_fence_never_falls()
        self._a_running_stage_has_one_owner_and_no_other_has_a_lease()
        self._what_has_ended_stays_as_it_is()
        for job in self.now.jobs:
            self._a_job_is_what_its_stages_are(job)
            self._events_tell_what_happened(job)
        self._what_has_succeeded_has_its_result_once()

    def _a_fence_never_falls(self) -> None:
        for stage in self.now.stages:
            assert stage.fence >= self.fences.get(stage.id, 0)
            self.fences[stage.id] = stage.fence

    def _a_running_stage_has_one_owner_and_no_other_has_a_lease(self) -> None:
        given = Counter((claim.stage_id, claim.fence) for claim in self.claims)
        for stage in self.now.stages:
            if stage.state == StageState.RUNNING:
                assert given[stage.id, stage.fence] == 1
                assert stage.owner in WORKERS and stage.lease_until is not None
            else:
                assert stage.lease_until is None

    def _what_has_ended_stays_as_it_is(self) -> None:
        rows: list[JobRow | StageRow] = [*self.now.jobs, *self.now.stages]
        now = {row.id: row.state for row in rows}
        assert {identifier: now[identifier] for identifier in self.ended} == self.ended
        over = ENDED_JOBS | ENDED_STAGES
        self.ended = {identifier: state for identifier, state in now.items() if state in over}

    def _a_job_is_what_its_stages_are(self, job: JobRow) -> None:
        states = {stage.state for stage in self.now.of(job)}
        idle = {StageState.WAITING, StageState.QUEUED, StageState.PAUSED}
        match JobState(job.state):
            case JobState.QUEUED:
                assert states <= {StageState.WAITING, StageState.QUEUED}
            case JobState.RUNNING:
                assert states & {StageState.QUEUED, StageState.RUNNING}
            case JobState.PAUSING:
                assert StageState.RUNNING in states and StageState.QUEUED not in states
            case JobState.PAUSED:
                assert not states & {StageState.QUEUED, StageState.RUNNING}
            case JobState.CANCELLING:
                assert StageState.RUNNING in states and not states & idle
            case JobState.CANCELLED:
                assert not states & {*idle, StageState.RUNNING}
            case JobState.FAILED:
                assert job.error is not None and not states & idle
            case JobState.SUCCEEDED:
                assert states == {StageState.SUCCEEDED} and job.coreset_id is not None
        assert (job.finished_at is not None) == (job.state in ENDED_JOBS)

    def _events_tell_what_happened(self, job: JobRow) -> None:
        events = self.now.events[job.id]
        assert [one.sequence for one in events] == list(range(1, job.event_count + 1))
        said = [one.kind for one in events if one.kind.startswith("job.")]
        assert said[-1] == f"job.{job.state}"
        for stage in self.now.of(job):
            of_it = [one for one in events if one.stage == stage.name and _is_about(one, stage)]
            told = [one.kind.removeprefix("stage.") for one in of_it]
            moves = [state for state in told if state in set(StageState)]
            assert (moves or ["waiting"])[-1] == stage.state
            assert "succeeded" not in moves[:-1]

    def _what_has_succeeded_has_its_result_once(self) -> None:
        assert len(self.now.keys) == len(set(self.now.keys))
        done = [stage for stage in self.now.in_state(StageState.SUCCEEDED) if stage.job_id]
        assert all(stage.artifact_id is not None for stage in done)
        selected = [stage.job_id for stage in done if stage.name == StageName.SELECT]
        assert Counter(selected) == Counter(self.now.coresets)


def _is_about(event: EventRow, stage: StageRow) -> bool:
    return (event.data.get("part"), event.data.get("shard")) == (stage.part, stage.shard)
