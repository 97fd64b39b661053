"""The stage that trains and measures on the coresets of several selectors."""

from collections.abc import Mapping
from dataclasses import replace

from dealrec.config.model_use import ModelUse, trained_model
from dealrec.config.prune import PruneConfig
from dealrec.config.stages.base import (
    JobOptions,
    Pace,
    Phase,
    StageName,
    StageSpec,
    Work,
    Workload,
)
from dealrec.config.stages.select import training_steps
from dealrec.config.stages.trainings import Trainings

_TEXTS_OF_STEP = 0.9
"""A step of a training that a selector makes takes as long as reading so many texts."""


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
        if not options.comparison.curve:  # keys from before there were curves stay as they were
            del asked["curve"]
        return {"comparison": asked, **self.contents(options.config)}

    def work(self, load: Workload) -> Work:
        """All trainings but those on all samples, which the stage before has made."""
        comparison = load.comparison
        assert comparison is not None
        budgets = comparison.resolved_budgets(load.samples)
        curve = comparison.resolved_curve(load.samples)
        planned = comparison.planned(budgets, curve)
        drawn = sum(run.budget for run in planned)
        drawn += comparison.seeds * max(budgets, default=0)
        measured = comparison.run_count + 1 - comparison.full_data_runs
        steps = sum(training_steps(run.selection, run.budget) for run in planned)
        trainings = Trainings(drawn, measured).work(load)
        return replace(trainings, units=trainings.units + _TEXTS_OF_STEP * steps)

    def language_model(self, config: PruneConfig) -> ModelUse | None:
        assert config.finetune is not None
        return trained_model(config.finetune)
