"""Makes a vector of every title."""

from dealrec.metagradient.reading import read_titles
from dealrec.stages.context import StageContext, StageResult


def run(context: StageContext) -> StageResult:
    """Save the vectors, and samples and validation users as titles. The details say how they were made."""
    dataset, samples = context.load_samples()
    options = context.config.titles
    batch_tokens = context.replanned(options.batch_tokens)
    table, diagnostics = read_titles(
        dataset,
        samples,
        context.config.prompt,
        options.model_copy(update={"batch_tokens": batch_tokens}),
        runtime=context.runtime,
        reporter=context.reporter,
        checkpoint_dir=context.checkpoint_dir,
    )
    table.save(context.out)
    return StageResult(dict(diagnostics))
