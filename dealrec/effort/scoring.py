"""Effort of every sample of a data set, in one piece or in shards that are merged."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dealrec.config.data import PromptConfig
from dealrec.config.effort import EffortConfig
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.data.prompts import PromptedSample, Prompter
from dealrec.data.samples import Samples
from dealrec.effort.gradients import GradientMeter
from dealrec.effort.parts import EffortPart, ShardCheckpoint, merge_effort
from dealrec.effort.scores import EffortScores
from dealrec.errors import DealrecError
from dealrec.language_models.adapters import with_adapter
from dealrec.language_models.batch_plan import BatchPlan, Shard, plan_batches, plan_samples
from dealrec.language_models.loading import LoadedLanguageModel, load_language_model
from dealrec.language_models.tokens import Encoder, token_limit
from dealrec.progress import SILENT, Reporter
from dealrec.runtime import apply_runtime

__all__ = [
    "measure_effort",
    "measure_shard",
    "merge_effort",
    "plan_samples",
    "score_effort",
    "score_effort_shard",
]


def score_effort(
    dataset: Dataset,
    samples: Samples,
    prompt: PromptConfig,
    config: EffortConfig,
    *,
    candidates: npt.NDArray[np.int64] | None = None,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
    checkpoint_dir: Path | None = None,
) -> EffortScores:
    """The LLM's gradient norm on each of ``n`` samples, or on the ``candidates`` among them.

    Memory does not grow with the texts: samples are put into words and tokens twice, once for
    their lengths, from which the batches follow, and once when their batch is due. With a
    ``checkpoint_dir`` a run that was cut off goes on after its last finished batches.

    Raises:
        InputError: ``unknown_model``, ``model_not_available``, ``model_not_supported``,
            ``adapter_not_usable``, ``max_tokens_too_small``.
        DealrecError: ``non_finite_score``, naming the sample.
        Cancelled: When ``reporter`` says so, between batches.
    """
    plan = plan_samples(dataset, samples, prompt, config, candidates=candidates, reporter=reporter)
    part = score_effort_shard(
        plan,
        plan.whole(),
        dataset,
        samples,
        prompt,
        config,
        runtime=runtime,
        reporter=reporter,
        checkpoint_dir=checkpoint_dir,
    )
    return merge_effort(plan, [part])


def score_effort_shard(
    plan: BatchPlan,
    shard: Shard,
    dataset: Dataset,
    samples: Samples,
    prompt: PromptConfig,
    config: EffortConfig,
    *,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
    checkpoint_dir: Path | None = None,
    pieces: int = 1,
) -> EffortPart:
    """The effort of one of ``plan.shards(...)``; ``plan`` was made from the same other arguments.

    Each batch is measured in so many ``pieces``, for machines whose memory does not hold it whole;
    the numbers are the same but for rounding (a few units in the last place of float32).

    Raises as :func:`score_effort`.
    """
    device = apply_runtime(runtime or Runtime())
    loaded = load_language_model(config.model, dtype=config.dtype, device=device, reporter=reporter)
    if config.adapter is not None:
        loaded = with_adapter(loaded, Path(config.adapter).expanduser())
    return measure_shard(
        loaded,
        plan,
        shard,
        Prompter(dataset, samples, prompt).prompt,
        config,
        name=lambda index: str(samples.keys(dataset)[index]),
        reporter=reporter,
        checkpoint_dir=checkpoint_dir,
        pieces=pieces,
    )


def measure_effort(
    loaded: LoadedLanguageModel,
    prompted: Callable[[int], PromptedSample],
    count: int,
    config: EffortConfig,
    name: Callable[[int], str] = str,
    reporter: Reporter = SILENT,
) -> EffortScores:
    """Effort of the samples ``prompted(0)`` to ``prompted(count - 1)`` on a loaded model."""
    encoder = Encoder(loaded.tokenizer, token_limit(loaded, config.max_tokens))
    plan = plan_batches(encoder, prompted, count, config, reporter=reporter)
    part = measure_shard(loaded, plan, plan.whole(), prompted, config, name, reporter)
    return merge_effort(plan, [part])


def measure_shard(
    loaded: LoadedLanguageModel,
    plan: BatchPlan,
    shard: Shard,
    prompted: Callable[[int], PromptedSample],
    config: EffortConfig,
    name: Callable[[int], str] = str,
    reporter: Reporter = SILENT,
    checkpoint_dir: Path | None = None,
    pieces: int = 1,
) -> EffortPart:
    """As :func:`score_effort_shard`, on a loaded model; ``name`` gives a sample's key."""
    meter = GradientMeter(loaded, config, plan.prefix, int(plan.tokens.max(initial=0)))
    encoder = Encoder(loaded.tokenizer, token_limit(loaded, config.max_tokens))
    measured_with = {
        "model": loaded.name,
        "revision": loaded.revision,
        "device": loaded.device.type,
        **config.model_dump(mode="json", exclude={"model", "adapter", "shard_samples"}),
        "prefix_tokens": meter.prefix_tokens,
        "prefix_reuse": meter.prefix_reuse,
    }
    checkpoint = ShardCheckpoint(checkpoint_dir, plan, shard, measured_with, reporter)
    following, scores = checkpoint.resume()
    offset, total = int(plan.bounds[shard.first]), len(scores)
    reporter.progress(int(plan.bounds[following]) - offset, total, "sample")
    started = time.monotonic()
    for number in range(following, shard.last):
        batch = plan.batch(number)
        encoded = encoder.encode([prompted(index) for index in batch])
        norms = meter.norms(encoded, pieces).double().cpu().numpy()
        _refuse_non_finite(norms, batch, name)
        done = int(plan.bounds[number + 1]) - offset
        scores[done - len(batch) : done] = norms
        checkpoint.keep(number + 1, scores)
        reporter.progress(done, total, "sample")
    seconds = time.monotonic() - started
    replanned = meter.halvings + (shard.last - following if pieces > 1 else 0)
    diagnostics = {**measured_with, "seconds": seconds, "replanned": replanned}
    return EffortPart(shard, scores, plan.fingerprint, diagnostics)


def _refuse_non_finite(
    norms: npt.NDArray[np.float64], batch: list[int], name: Callable[[int], str]
) -> None:
    bad = np.flatnonzero(~np.isfinite(norms))
    if len(bad):
        raise DealrecError(
            f"The effort of sample `{name(batch[int(bad[0])])}` is not a finite number.",
            code="non_finite_score",
            title="A score is not a finite number",
        )
