"""The stage that spends the budget on the scored samples."""

import math
from collections.abc import Mapping

from dealrec.config.selection import SelectionConfig
from dealrec.config.selectors import SELECTORS
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

_UNITS_OF_STEP = 900
"""A step of a training and its way back take as long as so many samples."""


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
                mode="json", exclude={"job", "adapter", "replay"}
            )
        return found

    def work(self, load: Workload) -> Work:
        selection = load.config.selection
        units = load.samples + _UNITS_OF_STEP * training_steps(selection, load.budget)
        return Work(units, (selection.method,))


def training_steps(selection: SelectionConfig, budget: int) -> int:
    """Count the steps of all trainings that a selector makes while it selects."""
    if not SELECTORS[selection.method].trains:
        return 0
    each = math.ceil(budget / selection.training_batch) * selection.training_epochs
    return each * selection.trainings * (selection.rounds + 1)
