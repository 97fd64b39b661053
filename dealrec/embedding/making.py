"""Computes the embeddings of every sample and of validation samples."""

import time
from pathlib import Path

from dealrec.config import EmbeddingConfig, EmbeddingSource
from dealrec.config.prompt import PromptConfig
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.data.prompter import Prompter
from dealrec.data.samples import Samples, validation_samples
from dealrec.language_models.batch_plan import BatchPlan, plan_samples
from dealrec.progress import SILENT, Reporter
from dealrec.runtime import apply_runtime
from dealrec.selection.vectors import Float32, MadeVectors, Vectors
from dealrec.surrogates.ensemble import Ensemble


def embed(
    dataset: Dataset,
    samples: Samples,
    prompt: PromptConfig,
    config: EmbeddingConfig,
    ensemble: Ensemble | None,
    *,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
    checkpoint_dir: Path | None = None,
    pieces: int = 1,
) -> MadeVectors:
    """Compute the embeddings of ``n`` samples and of validation samples.

    At most ``config.validation_samples`` validation samples are used. Only the source ``surrogate``
    needs an ``ensemble``.

    Raises:
        InputError: The errors of :func:`~dealrec.effort.scoring.score_effort`, if the source is
            ``language_model``.
        DealrecError: ``non_finite_score`` if an embedding is not finite.
        Cancelled: ``reporter`` cancelled the run between batches.
    """
    started = time.perf_counter()
    validation = validation_samples(dataset, config.validation_samples)
    if config.source is EmbeddingSource.SURROGATE:
        assert ensemble is not None
        made = _by_surrogate(samples, validation, ensemble, runtime, reporter)
    else:
        made = _by_language_model(
            dataset, samples, validation, prompt, config, runtime, reporter, checkpoint_dir, pieces
        )
    diagnostics = {
        "source": config.source.value,
        **made.diagnostics,
        "dimension": made.vectors.samples.shape[1],
        "samples": len(samples),
        "validation_samples": 0 if validation is None else len(validation),
        "seconds": time.perf_counter() - started,
    }
    return MadeVectors(made.vectors, diagnostics)


def _by_surrogate(
    samples: Samples,
    validation: Samples | None,
    ensemble: Ensemble,
    runtime: Runtime | None,
    reporter: Reporter,
) -> MadeVectors:
    from dealrec.embedding.surrogate import surrogate_states

    model = ensemble.members[0].model
    vectors = Vectors(
        surrogate_states(model, samples, runtime=runtime, reporter=reporter),
        None if validation is None else surrogate_states(model, validation, runtime=runtime),
    )
    return MadeVectors(vectors, {"surrogates": 1})


def _by_language_model(
    dataset: Dataset,
    samples: Samples,
    validation: Samples | None,
    prompt: PromptConfig,
    config: EmbeddingConfig,
    runtime: Runtime | None,
    reporter: Reporter,
    checkpoint_dir: Path | None,
    pieces: int,
) -> MadeVectors:
    from dealrec.embedding.language_model import hidden_states
    from dealrec.language_models.loading import load_language_model

    runtime = runtime or Runtime()
    device = apply_runtime(runtime.on_one_thread())
    loaded = load_language_model(config.model, dtype=config.dtype, device=device, reporter=reporter)

    def states(some: Samples, plan: BatchPlan, name: str) -> Float32:
        return hidden_states(
            loaded,
            plan,
            Prompter(dataset, some, prompt).prompt,
            config,
            len(whole.prefix),
            runtime=runtime,
            checkpoint_dir=None if checkpoint_dir is None else checkpoint_dir / name,
            reporter=reporter,
            pieces=pieces,
        )

    whole = plan_samples(dataset, samples, prompt, config, reporter=reporter)
    others = None
    if validation is not None:
        plan = plan_samples(dataset, validation, prompt, config, reporter=reporter)
        others = states(validation, plan, "validation")
    vectors = Vectors(states(samples, whole, "samples"), others)
    return MadeVectors(vectors, dict(loaded.identity))
