"""The stage that compares the language model's losses with and without the history."""

from dealrec.config.selectors import Need
from dealrec.config.stages.base import TEXTS, Pace, Phase, StageName, StageSpec, Work, Workload


class IfdStage(StageSpec):
    """Reads every sample once, and every target once without a history."""

    name = StageName.IFD
    version = 2
    title = "Losses with and without history"
    part = "ifd"
    summary = "The language model's loss of a target with and without the history."
    phase = Phase.SCORING
    reads = TEXTS | {"ifd"}
    makes = frozenset({Need.IFD})
    pace = Pace.READ
    reference_seconds = 0.1

    def work(self, load: Workload) -> Work:
        return Work(load.samples, (load.config.ifd.model, load.config.ifd.dtype))
