"""The stage that summarises the data set's shape."""

from dealrec.config.stages.base import Phase, Queue, StageName, StageSpec, Work, Workload


class AuditStage(StageSpec):
    """Reports what decides whether there is anything to learn from the data."""

    name = StageName.AUDIT
    title = "Audit"
    part = "audit"
    summary = "The data set's shape, which decides whether there is anything to learn from it."
    switch = "Summarise the data set"
    phase = Phase.SCORING
    queue = Queue.CPU
    reads = frozenset({"audit"})
    reference_seconds = 1e-6

    def work(self, load: Workload) -> Work:
        return Work(load.count("interactions"), ())
