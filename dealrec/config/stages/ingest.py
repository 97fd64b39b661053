"""The stage that validates uploaded files into a data set."""

from dealrec.config.stages.base import (
    Phase,
    Product,
    Queue,
    StageName,
    StageSpec,
    Work,
    Workload,
)


class IngestStage(StageSpec):
    """Its result is the data set's folder. In the service it has no key: every upload is validated."""

    name = StageName.INGEST
    title = "Validation"
    phase = Phase.DATASET
    queue = Queue.CPU
    product = Product.DATASET
    reference_seconds = 1e-5
    version = 7

    def work(self, load: Workload) -> Work:
        return Work(load.count("interactions"), ())
