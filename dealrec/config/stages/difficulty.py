"""The stage that scores how hard every sample is for the surrogate."""

from collections.abc import Mapping, Sequence

from dealrec.config.prune import PruneConfig
from dealrec.config.selectors import Need
from dealrec.config.stages.base import (
    JobOptions,
    Phase,
    StageName,
    StageSpec,
    Work,
    Workload,
    sampling_options,
)


class DifficultyStage(StageSpec):
    """Computes EL2N and GraNd from the trained surrogate."""

    name = StageName.DIFFICULTY
    title = "Difficulty"
    phase = Phase.SCORING
    makes = frozenset({Need.EL2N, Need.GRAND})
    reference_seconds = 6e-9

    def needs(self, config: PruneConfig) -> Sequence[StageName]:
        return (StageName.SURROGATE,)

    def key_options(self, options: JobOptions) -> Mapping[str, object]:
        return sampling_options(options.config)

    def work(self, load: Workload) -> Work:
        surrogate = load.config.surrogate
        return Work(load.samples * load.count("items") * surrogate.ensemble, (surrogate.model,))
