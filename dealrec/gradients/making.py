"""Computes the projected gradient of every sample and of validation samples.

The per-sample gradients are the exact ones that effort measures (:mod:`dealrec.effort.gradients`).
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from dealrec.config import GradientsConfig
from dealrec.config.prompt import PromptConfig
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.data.prompter import Prompter
from dealrec.data.prompts import PromptedSample
from dealrec.data.samples import Samples, validation_samples
from dealrec.effort.gradients import GradientMeter
from dealrec.gradients.projection import Sketch
from dealrec.language_models.adapters import load_adapted
from dealrec.language_models.batch_plan import BatchPlan, plan_samples
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.side_by_side import side_by_side
from dealrec.language_models.tokens import Encoder
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
    """Compute the projected gradients of ``n`` samples and of validation samples.

    At most ``config.validation_samples`` validation samples are used. With a ``checkpoint_dir``, a
    run that was cut off goes on after its last finished batches.

    Raises:
        InputError: The errors of :func:`~dealrec.effort.scoring.score_effort`.
        DealrecError: ``non_finite_score`` if a gradient is not finite.
        Cancelled: ``reporter`` cancelled the run between batches.
    """
    started = time.perf_counter()
    runtime = runtime or Runtime()
    device = apply_runtime(runtime.on_one_thread())
    loaded = load_adapted(config, device, reporter)

    def gradients(some: Samples, name: str) -> Float32:
        return gradients_of(
            loaded,
            plan_samples(dataset, some, prompt, config, reporter=reporter),
            Prompter(dataset, some, prompt).prompt,
            config,
            runtime=runtime,
            checkpoint_dir=None if checkpoint_dir is None else checkpoint_dir / name,
            reporter=reporter,
            pieces=pieces,
        )

    validation = validation_samples(dataset, config.validation_samples)
    others = None if validation is None else gradients(validation, "validation")
    vectors = Vectors(gradients(samples, "samples"), others)
    diagnostics = {
        **loaded.identity,
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
    runtime: Runtime | None = None,
    checkpoint_dir: Path | None = None,
    reporter: Reporter = SILENT,
    pieces: int = 1,
) -> Float32:
    """Compute the projected gradients [n, k] of the samples ``prompted(0)`` to ``prompted(n - 1)``.

    ``plan`` holds the batches of all these samples. The other arguments and the errors are those of
    :func:`~dealrec.language_models.vectors.vectors_of`.
    """
    longest = int(plan.tokens.max(initial=0))
    meters = [
        GradientMeter(one, config, plan.prefix, longest)
        for one in side_by_side(loaded, runtime, plan.batches, pieces)
    ]
    sketch = Sketch(config.dimension, config.seed)
    return vectors_of(
        plan,
        prompted,
        Encoder.for_model(loaded, config.max_tokens),
        [partial(meter.measure, reduce=sketch) for meter in meters],
        sketch.width(meters[0].numbers),
        made_with={
            **loaded.identity,
            "prefix_reuse": meters[0].prefix_reuse,
            "what": "gradients",
        },
        checkpoint_dir=checkpoint_dir,
        reporter=reporter,
        pieces=pieces,
    )
