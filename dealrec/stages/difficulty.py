"""Scores how hard every sample is for the surrogate."""

from dealrec.config.stages import StageName
from dealrec.difficulty.scoring import score_difficulty
from dealrec.stages.context import StageContext, StageResult
from dealrec.surrogates.ensemble import load_ensemble


def run(context: StageContext) -> StageResult:
    """Save the three scores of every sample. The details are the scorer's diagnostics."""
    dataset, samples = context.load_samples()
    scores = score_difficulty(
        dataset,
        samples,
        load_ensemble(context.inputs[StageName.SURROGATE]),
        runtime=context.runtime,
        reporter=context.reporter,
    )
    scores.save(context.out)
    return StageResult(scores.diagnostics)
