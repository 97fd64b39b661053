"""Scores how hard every sample is for the surrogate."""

from dealrec.config.stages import StageName
from dealrec.data.dataset import Dataset
from dealrec.data.samples import build_samples
from dealrec.difficulty.scoring import score_difficulty
from dealrec.surrogates.ensemble import load_ensemble
from dealrec.worker.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """EL2N and GraNd of every sample; details are the scorer's diagnostics."""
    dataset, config = Dataset.load(context.dataset), context.config
    scores = score_difficulty(
        dataset,
        build_samples(dataset, config.sampling, config.min_history),
        load_ensemble(context.inputs[StageName.SURROGATE]),
        runtime=context.runtime,
        reporter=context.reporter,
    )
    scores.save(context.out)
    return StageResult(scores.diagnostics)
