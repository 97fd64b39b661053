"""The stage that makes a projected gradient of every sample."""

from collections.abc import Mapping, Sequence

from dealrec.config.prune import PruneConfig
from dealrec.config.selectors import Need
from dealrec.config.stages.base import (
    JobOptions,
    ModelUse,
    Phase,
    StageName,
    StageSpec,
    Work,
    Workload,
    sampling_options,
    text_options,
)


class GradientsStage(StageSpec):
    """Projects the language model's gradients of training and validation samples."""

    name = StageName.GRADIENTS
    title = "Gradients"
    part = "gradients"
    summary = "Gradients of the language model, for selectors that look at them."
    phase = Phase.SCORING
    makes = frozenset({Need.GRADIENTS, Need.VALIDATION_GRADIENTS})
    reference_seconds = 0.15

    def key_options(self, options: JobOptions) -> Mapping[str, object]:
        config = options.config
        return {
            **sampling_options(config),
            **text_options(config, config.gradients.model),
            "gradients": config.gradients.model_dump(mode="json"),
        }

    def work(self, load: Workload) -> Work:
        gradients = load.config.gradients
        return Work(load.samples + load.count("valid"), (gradients.model, gradients.dtype))

    def language_models(self, config: PruneConfig) -> Sequence[ModelUse]:
        gradients = config.gradients
        return (ModelUse("config.gradients.model", gradients.model, gradients.adapter),)
