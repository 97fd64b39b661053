"""The stage that trains the surrogate."""

from collections.abc import Mapping

from dealrec.config.stages.base import JobOptions, Phase, StageName, StageSpec, Work, Workload


class SurrogateStage(StageSpec):
    """Trains the small recommender, or the ensemble of them, on every sample."""

    name = StageName.SURROGATE
    title = "Surrogate"
    part = "surrogate"
    summary = "The small recommender that is trained on everything."
    phase = Phase.SCORING
    reads = frozenset({"validation_users", "surrogate"})
    always = True
    of_ids = True
    version = 4
    reference_seconds = 2e-5

    def key_options(self, options: JobOptions) -> Mapping[str, object]:
        """With the earlier surrogate that the training goes on from, where there is one."""
        found = super().key_options(options)
        return (
            found if options.continued is None else {**found, "continued": options.continued.key()}
        )

    def account(
        self, metrics: Mapping[str, float], details: Mapping[str, object]
    ) -> Mapping[str, object]:
        """The metrics, and where it ran; the other details are the history of every epoch."""
        names = ("environment", "continued", "drift")
        kept = {name: details[name] for name in names if name in details}
        return {**metrics, "environment": None, **kept}

    def work(self, load: Workload) -> Work:
        surrogate = load.config.surrogate
        epochs = surrogate.epochs
        if load.continued is not None:
            epochs = load.continued.surrogate_epochs
        read = load.count("train") * surrogate.user_share * surrogate.recent_share
        units = epochs * read * surrogate.ensemble
        return Work(units, (surrogate.model, surrogate.loss, surrogate.hidden_size))
