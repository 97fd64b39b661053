"""The stage that summarises the data set's shape."""

from collections.abc import Mapping

from dealrec.config.audit import AuditConfig
from dealrec.config.stages.base import (
    JobOptions,
    Phase,
    Queue,
    StageName,
    StageSpec,
    Work,
    Workload,
)


class AuditStage(StageSpec):
    """Reports what decides whether there is anything to learn from the data."""

    name = StageName.AUDIT
    title = "Audit"
    part = "audit"
    summary = "The data set's shape: what decides whether there is anything to learn from it."
    switch = "Summarise the data set"
    phase = Phase.SCORING
    queue = Queue.CPU
    reference_seconds = 1e-6

    def key_options(self, options: JobOptions) -> Mapping[str, object]:
        return {"audit": _audit(options).model_dump(mode="json")}

    def work(self, load: Workload) -> Work:
        return Work(load.count("interactions"), ())


def _audit(options: JobOptions) -> AuditConfig:
    assert options.config.audit is not None
    return options.config.audit
