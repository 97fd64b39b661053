"""Scores every sample's influence."""

from dealrec.config.stages import StageName
from dealrec.data.dataset import Dataset
from dealrec.data.samples import build_samples
from dealrec.influence.averaging import score_ensemble
from dealrec.surrogates.ensemble import load_ensemble
from dealrec.worker.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """The influence of every sample; details are the solver's diagnostics."""
    dataset, config = Dataset.load(context.dataset), context.config
    scores = score_ensemble(
        dataset,
        build_samples(dataset, config.sampling, config.min_history),
        load_ensemble(context.inputs[StageName.SURROGATE]),
        config.influence,
        runtime=context.runtime,
        reporter=context.reporter,
    )
    scores.save(context.out)
    return StageResult(scores.diagnostics)
