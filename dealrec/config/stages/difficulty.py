"""The stage that scores how hard every sample is for the surrogate."""

from dealrec.config.selectors import Need
from dealrec.config.stages.base import SAMPLES, Phase, StageName, StageSpec, Work, Workload


class DifficultyStage(StageSpec):
    """Computes EL2N, GraNd and the target's log-probability from the trained surrogate."""

    name = StageName.DIFFICULTY
    title = "Difficulty"
    phase = Phase.SCORING
    version = 3
    reads = SAMPLES
    before = (StageName.SURROGATE,)
    makes = frozenset({Need.EL2N, Need.GRAND, Need.LIKELIHOOD})
    reference_seconds = 6e-9

    def work(self, load: Workload) -> Work:
        surrogate = load.config.surrogate
        return Work(load.samples * load.count("items") * surrogate.ensemble, (surrogate.model,))
