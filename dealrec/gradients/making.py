"""The projected gradient of every sample, and of validation samples.

From the same exact per-sample gradients as effort (:mod:`dealrec.effort.gradients`): no loop over
samples, a graph over the last layer only.
"""

import time
from collections.abc import Callable
from pathlib import Path

from dealrec.config import GradientsConfig
from dealrec.config.data import PromptConfig
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.data.prompts import PromptedSample, Prompter
from dealrec.data.samples import Samples, validation_samples
from dealrec.effort.gradients import GradientMeter
from dealrec.gradients.projection import Sketch
from dealrec.language_models.adapters import with_adapter
from dealrec.language_models.batch_plan import BatchPlan, plan_samples
from dealrec.language_models.loading import LoadedLanguageModel, load_language_model
from dealrec.language_models.tokens import Encoder, token_limit
from dealrec.language_models.vectors import vectors_of
from dealrec.progress import SILENT, Reporter
from dealrec.runtime import apply_runtime
from dealrec.selection.vectors import Float32, MadeVectors, Vectors


def project_gradients(
    dataset: Dataset,
    samples: Samples,
    prompt: PromptConfig,
    config: GradientsConfig,
    *,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
    checkpoint_dir: Path | None = None,
    pieces: int = 1,
) -> MadeVectors:
    """The gradient of each of ``n`` samples and of at most ``config.validation_samples`` others.

    With a ``checkpoint_dir`` a run that was cut off goes on after its last finished batches.

    Raises:
        InputError: As :func:`~dealrec.effort.scoring.score_effort`.
        DealrecError: ``non_finite_score``.
        Cancelled: When ``reporter`` says so, between batches.
    """
    started = time.perf_counter()
    device = apply_runtime(runtime or Runtime())
    loaded = load_language_model(config.model, dtype=config.dtype, device=device, reporter=reporter)
    if config.adapter is not None:
        loaded = with_adapter(loaded, Path(config.adapter).expanduser())

    def of(some: Samples, name: str) -> Float32:
        return gradients_of(
            loaded,
            plan_samples(dataset, some, prompt, config, reporter=reporter),
            Prompter(dataset, some, prompt).prompt,
            config,
            checkpoint_dir=None if checkpoint_dir is None else checkpoint_dir / name,
            reporter=reporter,
            pieces=pieces,
        )

    validation = validation_samples(dataset, config.validation_samples)
    others = None if validation is None else of(validation, "validation")
    vectors = Vectors(of(samples, "samples"), others)
    diagnostics = {
        "model": loaded.name,
        "revision": loaded.revision,
        "device": device.type,
        **config.model_dump(mode="json", exclude={"model", "adapter", "validation_samples"}),
        "dimension": vectors.samples.shape[1],
        "samples": len(samples),
        "validation_samples": 0 if others is None else len(others),
        "seconds": time.perf_counter() - started,
    }
    return MadeVectors(vectors, diagnostics)


def gradients_of(
    loaded: LoadedLanguageModel,
    plan: BatchPlan,
    prompted: Callable[[int], PromptedSample],
    config: GradientsConfig,
    *,
    checkpoint_dir: Path | None = None,
    reporter: Reporter = SILENT,
    pieces: int = 1,
) -> Float32:
    """[n, k] of the samples ``prompted(0)`` to ``prompted(n - 1)`` of ``plan``, on a loaded model."""
    meter = GradientMeter(loaded, config, plan.prefix, int(plan.tokens.max(initial=0)))
    sketch = Sketch(config.dimension, config.seed)
    made_with = {
        "model": loaded.name,
        "revision": loaded.revision,
        "device": loaded.device.type,
        "prefix_reuse": meter.prefix_reuse,
        "what": "gradients",
    }
    return vectors_of(
        plan,
        prompted,
        Encoder(loaded.tokenizer, token_limit(loaded, config.max_tokens)),
        lambda encoded: meter.measure(encoded, sketch),
        sketch.width(meter.numbers),
        made_with=made_with,
        checkpoint_dir=checkpoint_dir,
        reporter=reporter,
        pieces=pieces,
    )
