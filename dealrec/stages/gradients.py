"""Makes a projected gradient of every sample."""

from dealrec.gradients.making import project_gradients
from dealrec.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """Save the gradients, including those of validation samples. The details say how they were made."""
    dataset, samples = context.load_samples()
    context.replanned(context.config.gradients.batch_tokens)
    made = project_gradients(
        dataset,
        samples,
        context.config.prompt,
        context.config.gradients,
        runtime=context.runtime,
        reporter=context.reporter,
        checkpoint_dir=context.checkpoint_dir,
        pieces=context.pieces,
    )
    made.save(context.out)
    return StageResult(made.diagnostics)
