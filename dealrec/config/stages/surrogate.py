"""The stage that trains the surrogate."""

from collections.abc import Mapping

from dealrec.config.stages.base import Phase, StageName, StageSpec, Work, Workload


class SurrogateStage(StageSpec):
    """Trains the small recommender, or the ensemble of them, on every sample."""

    name = StageName.SURROGATE
    title = "Surrogate"
    part = "surrogate"
    summary = "The small recommender that is trained on everything."
    phase = Phase.SCORING
    reads = frozenset({"validation_users", "surrogate"})
    always = True
    version = 3
    reference_seconds = 2e-5

    def account(
        self, metrics: Mapping[str, float], details: Mapping[str, object]
    ) -> Mapping[str, object]:
        """The metrics, and where it ran; the other details are the history of every epoch."""
        return {**metrics, "environment": details.get("environment")}

    def work(self, load: Workload) -> Work:
        surrogate = load.config.surrogate
        units = surrogate.epochs * load.count("train") * surrogate.ensemble
        return Work(units, (surrogate.model, surrogate.loss, surrogate.hidden_size))
