"""Makes a projected gradient of every sample."""

from dealrec.data.dataset import Dataset
from dealrec.data.samples import build_samples
from dealrec.gradients.making import project_gradients
from dealrec.worker.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """The gradients, of validation samples too; details say how they were made."""
    dataset, config = Dataset.load(context.dataset), context.config
    if context.pieces > 1:
        tokens = config.gradients.batch_tokens // context.pieces
        context.reporter.event("replanned", batch_tokens=tokens)
    made = project_gradients(
        dataset,
        build_samples(dataset, config.sampling, config.min_history),
        config.prompt,
        config.gradients,
        runtime=context.runtime,
        reporter=context.reporter,
        checkpoint_dir=context.checkpoint_dir,
        pieces=context.pieces,
    )
    made.save(context.out)
    return StageResult(made.diagnostics)
