"""Scores every sample's influence."""

from dealrec.config.stages import StageName
from dealrec.data.dataset import Dataset
from dealrec.data.samples import build_samples
from dealrec.influence.scoring import score_influence
from dealrec.surrogates.storage import load_surrogate
from worker.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """The influence of every sample; details are the solver's diagnostics."""
    dataset, config = Dataset.load(context.dataset), context.config
    scores = score_influence(
        dataset,
        build_samples(dataset, config.sampling, config.min_history),
        load_surrogate(context.inputs[StageName.SURROGATE]),
        config.influence,
        runtime=context.runtime,
        reporter=context.reporter,
    )
    scores.save(context.out)
    return StageResult(scores.diagnostics)
