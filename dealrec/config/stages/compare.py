"""The stage that trains and measures on the coresets of several selectors."""

from collections.abc import Mapping

from dealrec.config.prune import PruneConfig
from dealrec.config.stages.base import (
    JobOptions,
    ModelUse,
    Pace,
    Phase,
    StageName,
    StageSpec,
    Work,
    Workload,
    trained_model,
)
from dealrec.config.stages.evaluate import texts_asked

_TRAINING = 3.0
"""A training step reads a text once and goes back through it, which takes twice as long as reading."""
_LAST_LAYERS = 0.15
"""The share of reading a whole model that its last layers and its vocabulary take."""

_NO_LAYER = 0.01
"""The share that a projection takes where the language model stays as it is."""


class CompareStage(StageSpec):
    """Its result is the report of the comparison."""

    name = StageName.COMPARE
    title = "Comparison"
    phase = Phase.COMPARISON
    version = 5
    before = (StageName.SURROGATE,)
    reads_scores = True
    pace = Pace.READ
    reference_seconds = 0.1

    def key_options(self, options: JobOptions) -> Mapping[str, object]:
        assert options.comparison is not None
        assert options.config.finetune is not None
        asked = options.comparison.model_dump(mode="json", exclude={"config": {"audit"}})
        asked["config"]["finetune"] = options.config.finetune.identity()
        if (
            not options.comparison.curve
        ):  # as in the keys of comparisons from before there were curves
            del asked["curve"]
        return {"comparison": asked, **self.contents(options.config)}

    def work(self, load: Workload) -> Work:
        """Texts that are read: once for all runs where states are kept, and again in every run."""
        comparison, finetune = load.comparison, load.config.finetune
        evaluation = load.config.evaluation
        assert comparison is not None
        assert finetune is not None
        assert evaluation is not None
        budgets = comparison.resolved_budgets(load.samples)
        curve = comparison.resolved_curve(load.samples)
        drawn = comparison.full_data_runs * comparison.resolved_full_data(load.samples)
        drawn += sum(run.budget for run in comparison.planned(budgets, curve))
        drawn += comparison.seeds * max(budgets, default=0)
        asked = texts_asked(finetune, evaluation, load)
        in_runs = _TRAINING * finetune.epochs * drawn + (comparison.run_count + 1) * asked
        alike = (finetune.recommender, finetune.model, finetune.dtype, finetune.lora.last_layers)
        if finetune.lora.last_layers is None:
            return Work(in_runs, alike)
        share = _LAST_LAYERS if finetune.lora.last_layers else _NO_LAYER
        return Work(min(drawn, load.samples) + asked + share * in_runs, alike)

    def language_model(self, config: PruneConfig) -> ModelUse | None:
        assert config.finetune is not None
        return trained_model(config.finetune)
