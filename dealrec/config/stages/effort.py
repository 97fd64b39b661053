"""The stage that measures the language model's effort."""

from collections.abc import Mapping, Sequence

from dealrec.config.effort import EffortConfig, measured_samples, shard_count
from dealrec.config.prune import PruneConfig
from dealrec.config.selectors import Need
from dealrec.config.stages.base import (
    TEXTS,
    JobOptions,
    Pace,
    Phase,
    StageName,
    StageSpec,
    Work,
    Workload,
)


class EffortStage(StageSpec):
    """Takes the norm of the language model's own gradient on every sample, or on every candidate."""

    name = StageName.EFFORT
    title = "Effort"
    part = "effort"
    summary = "How hard the language model must work to learn a sample."
    switch = "Measure effort"
    phase = Phase.SCORING
    version = 3
    reads = TEXTS | {"effort"}
    before = (StageName.INFLUENCE,)
    makes = frozenset({Need.EFFORT})
    pace = Pace.EFFORT
    reference_seconds = 0.1

    def needs(self, config: PruneConfig) -> Sequence[StageName]:
        """Candidates are drawn over influence; without candidates every sample is measured."""
        return self.before if config.effort and config.effort.candidates else ()

    def key_options(self, options: JobOptions) -> Mapping[str, object]:
        effort = _effort(options).model_dump(mode="json", exclude={"shard_samples"})
        pool = _candidate_options(options)
        found = {**super().key_options(options), "effort": effort, "pool": pool}
        if options.continued is not None:
            found["earlier"] = options.continued.earlier
        return found

    def work(self, load: Workload) -> Work:
        effort = _effort(load)
        return Work(_measured(load), (effort.model, effort.dtype))

    def shards(self, load: Workload) -> int:
        # What is left to measure of a job that goes on from another one is known only when it runs.
        return 1 if load.continued is not None else shard_count(_measured(load), _effort(load))


def _effort(options: JobOptions) -> EffortConfig:
    assert options.config.effort is not None
    return options.config.effort


def _measured(load: Workload) -> int:
    return measured_samples(load.samples, load.budget, _effort(load).candidates)


def _candidate_options(options: JobOptions) -> Mapping[str, object] | None:
    """The options by which candidates are drawn; ``None`` where every sample is measured."""
    if _effort(options).candidates is None:
        return None
    read = {"strata", "stratum_edges", "normalisation", "seed"}
    selection = options.config.selection.model_dump(mode="json", include=read)
    return {"budget": options.budget, **selection}
