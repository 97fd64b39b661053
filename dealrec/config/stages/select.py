"""The stage that spends the budget on the scored samples."""

from collections.abc import Mapping

from dealrec.config.stages.base import (
    TEXTS,
    JobOptions,
    Phase,
    Product,
    Queue,
    StageName,
    StageSpec,
    Work,
    Workload,
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
    reads = TEXTS | {"selection"}
    reads_scores = True
    product = Product.CORESET
    reference_seconds = 1e-4

    def key_options(self, options: JobOptions) -> Mapping[str, object]:
        target = options.target  # the manifest says what the budget followed from
        followed = {} if target is None else {"target": target.model_dump(mode="json")}
        found = {**super().key_options(options), "budget": options.budget, **followed}
        if options.continued is not None:
            found["continued"] = options.continued.model_dump(
                mode="json", exclude={"job", "adapter"}
            )
        return found

    def work(self, load: Workload) -> Work:
        return Work(load.samples, (load.config.selection.method,))
