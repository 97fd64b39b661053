"""Makes a vector of every sample."""

from dealrec.config.stages import StageName
from dealrec.data.dataset import Dataset
from dealrec.data.samples import build_samples
from dealrec.embedding.making import embed
from dealrec.surrogates.ensemble import load_ensemble
from dealrec.worker.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """The vectors, of validation samples too; details say how they were made."""
    dataset, config = Dataset.load(context.dataset), context.config
    surrogate = context.inputs.get(StageName.SURROGATE)
    if context.pieces > 1:
        tokens = config.embedding.batch_tokens // context.pieces
        context.reporter.event("replanned", batch_tokens=tokens)
    made = embed(
        dataset,
        build_samples(dataset, config.sampling, config.min_history),
        config.prompt,
        config.embedding,
        None if surrogate is None else load_ensemble(surrogate),
        runtime=context.runtime,
        reporter=context.reporter,
        checkpoint_dir=context.checkpoint_dir,
        pieces=context.pieces,
    )
    made.save(context.out)
    return StageResult(made.diagnostics)
