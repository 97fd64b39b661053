"""The stage that makes a projected gradient of every sample."""

from dealrec.config.selectors import Need
from dealrec.config.stages.base import TEXTS, Pace, Phase, StageName, StageSpec, Work, Workload


class GradientsStage(StageSpec):
    """Projects the language model's gradients of training and validation samples."""

    name = StageName.GRADIENTS
    title = "Gradients"
    part = "gradients"
    summary = "Gradients of the language model, for selectors that use them."
    phase = Phase.SCORING
    version = 2
    reads = TEXTS | {"validation_users", "gradients"}
    makes = frozenset({Need.GRADIENTS, Need.VALIDATION_GRADIENTS})
    pace = Pace.EFFORT
    reference_seconds = 0.15

    def work(self, load: Workload) -> Work:
        gradients = load.config.gradients
        return Work(load.samples + load.count("valid"), (gradients.model, gradients.dtype))
