"""The stage that asks, before a comparison, whether there is anything to learn."""

from collections.abc import Mapping

from dealrec.config.model_use import ModelUse
from dealrec.config.prune import PruneConfig
from dealrec.config.stages.base import (
    TEXTS,
    JobOptions,
    Phase,
    StageName,
    StageSpec,
    Work,
    Workload,
)
from dealrec.config.stages.trainings import Trainings


class HeadroomStage(StageSpec):
    """Trains on all samples and keeps these trainings for the comparison.

    Where they are no better than the model as it is, scores for selectors are not made.
    """

    name = StageName.HEADROOM
    title = "Headroom"
    phase = Phase.COMPARISON
    reads = TEXTS | {"validation_users", "evaluation"}
    reference_seconds = 0.1

    def key_options(self, options: JobOptions) -> Mapping[str, object]:
        """As :meth:`StageSpec.key_options`; what the comparison does later is left out."""
        comparison, finetune = options.comparison, options.config.finetune
        assert comparison is not None
        assert finetune is not None
        drawn = comparison.full_data_samples is not None
        return {
            **super().key_options(options),
            "finetune": finetune.identity(),
            "runs": comparison.full_data_runs,
            "samples": comparison.full_data_samples,
            "seed": options.config.selection.seed if drawn else None,
        }

    def stops(self, options: JobOptions, details: Mapping[str, object]) -> bool:
        assert options.comparison is not None
        return bool(details["stops"]) and not options.comparison.despite_no_headroom

    def work(self, load: Workload) -> Work:
        comparison = load.comparison
        assert comparison is not None
        runs = comparison.full_data_runs
        drawn = runs * comparison.resolved_full_data(load.samples)
        return Trainings(drawn, runs + 1).work(load)

    def language_model(self, config: PruneConfig) -> ModelUse | None:
        assert config.finetune is not None
        return ModelUse(config.finetune.model)
