"""Scores every sample's influence."""

from dealrec.config.stages import StageName
from dealrec.influence.averaging import score_ensemble
from dealrec.stages.context import StageContext, StageResult
from dealrec.surrogates.ensemble import load_ensemble


def run(context: StageContext) -> StageResult:
    """Save the influence of every sample. The details are the solver's diagnostics."""
    dataset, samples = context.load_samples()
    scores = score_ensemble(
        dataset,
        samples,
        load_ensemble(context.inputs[StageName.SURROGATE]),
        context.config.influence,
        runtime=context.runtime,
        reporter=context.reporter,
    )
    scores.save(context.out)
    return StageResult(scores.diagnostics)
