"""Makes a vector of every sample."""

from dealrec.config.stages import StageName
from dealrec.embedding.making import embed
from dealrec.stages.context import StageContext, StageResult
from dealrec.surrogates.ensemble import load_ensemble


def run(context: StageContext) -> StageResult:
    """Save the vectors, including those of validation samples. The details say how they were made."""
    dataset, samples = context.load_samples()
    surrogate = context.inputs.get(StageName.SURROGATE)
    context.replanned(context.config.embedding.batch_tokens)
    made = embed(
        dataset,
        samples,
        context.config.prompt,
        context.config.embedding,
        None if surrogate is None else load_ensemble(surrogate),
        runtime=context.runtime,
        reporter=context.reporter,
        checkpoint_dir=context.checkpoint_dir,
        pieces=context.pieces,
    )
    made.save(context.out)
    return StageResult(made.diagnostics)
