"""The stage that spends the budget on the scored samples."""

from collections.abc import Mapping

from dealrec.config.stages.base import (
    JobOptions,
    Phase,
    Product,
    Queue,
    StageName,
    StageSpec,
    Work,
    Workload,
    sampling_options,
)


class SelectStage(StageSpec):
    """Its result is the coreset's folder."""

    name = StageName.SELECT
    title = "Selection"
    part = "selection"
    summary = "How the budget is spent."
    phase = Phase.SELECTION
    version = 2
    queue = Queue.CPU
    reads_scores = True
    product = Product.CORESET
    reference_seconds = 1e-4

    def key_options(self, options: JobOptions) -> Mapping[str, object]:
        config = options.config
        return {
            **sampling_options(config),
            "prompt": config.prompt.model_dump(mode="json"),
            "selection": config.selection.model_dump(mode="json"),
            "budget": options.budget,
        }

    def work(self, load: Workload) -> Work:
        return Work(load.samples, (load.config.selection.method,))
