"""Computes the effort of every sample of a data set, in one run or in shards that are merged."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dealrec.config.effort import EffortConfig
from dealrec.config.prompt import PromptConfig
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.data.prompter import Prompter
from dealrec.data.prompts import PromptedSample
from dealrec.data.samples import Samples
from dealrec.effort.gradients import GradientMeter
from dealrec.effort.parts import EffortPart, ShardCheckpoint, merge_effort
from dealrec.effort.scores import EffortScores
from dealrec.errors import DealrecError
from dealrec.language_models.adapters import load_adapted
from dealrec.language_models.batch_plan import (
    BatchPlan,
    Shard,
    plan_batches,
    plan_samples,
)
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.side_by_side import measured_batches, side_by_side
from dealrec.language_models.tokens import Encoder
from dealrec.progress import SILENT, Reporter
from dealrec.runtime import apply_runtime


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
    """Compute the LLM's gradient norm on each of ``n`` samples, or on the ``candidates`` among them.

    Memory does not grow with the texts: each sample is rendered and tokenized twice, once to plan
    the batches by length and once for its batch. With a ``checkpoint_dir``, a run that was cut off
    goes on after its last finished batches.

    Raises:
        InputError: ``unknown_model``, ``model_not_available``, ``model_not_supported``,
            ``adapter_not_usable``, ``max_tokens_too_small``.
        DealrecError: ``non_finite_score``, with the sample's key.
        Cancelled: ``reporter`` cancelled the run between batches.
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
    """Compute the effort of one of ``plan.shards(...)``.

    The data set, the samples, the prompt and the configuration must be those of the plan. On a CPU
    ``runtime.threads`` batches are measured at a time; their number changes no bit of the result.
    Each batch is measured in ``pieces`` parts, for machines whose memory does not hold it whole. The
    scores differ by rounding alone (a few units in the last place of float32). The errors are those
    of :func:`score_effort`.
    """
    device = apply_runtime((runtime or Runtime()).on_one_thread())
    return measure_shard(
        load_adapted(config, device, reporter),
        plan,
        shard,
        Prompter(dataset, samples, prompt).prompt,
        config,
        name=lambda index: str(samples.keys(dataset)[index]),
        runtime=runtime,
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
    """Measure the samples ``prompted(0)`` to ``prompted(count - 1)`` on a loaded model."""
    encoder = Encoder.for_model(loaded, config.max_tokens)
    plan = plan_batches(encoder, prompted, count, config, reporter=reporter)
    part = measure_shard(loaded, plan, plan.whole(), prompted, config, name, reporter=reporter)
    return merge_effort(plan, [part])


def measure_shard(
    loaded: LoadedLanguageModel,
    plan: BatchPlan,
    shard: Shard,
    prompted: Callable[[int], PromptedSample],
    config: EffortConfig,
    name: Callable[[int], str] = str,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
    checkpoint_dir: Path | None = None,
    pieces: int = 1,
) -> EffortPart:
    """Measure a shard as :func:`score_effort_shard` does; ``name`` maps a sample to its key."""
    longest = int(plan.tokens.max(initial=0))
    meters = [
        GradientMeter(one, config, plan.prefix, longest)
        for one in side_by_side(loaded, runtime, shard.last - shard.first, pieces)
    ]
    encoder = Encoder.for_model(loaded, config.max_tokens)
    settings = {
        **loaded.identity,
        **config.model_dump(mode="json", exclude={"model", "adapter", "shard_samples"}),
        "prefix_tokens": meters[0].prefix_tokens,
        "prefix_reuse": meters[0].prefix_reuse,
    }
    checkpoint = ShardCheckpoint(checkpoint_dir, plan, shard, settings, reporter)
    following, scores = checkpoint.resume()
    place = int(plan.bounds[following]) - int(plan.bounds[shard.first])
    started = time.monotonic()
    measures = [meter.norms for meter in meters]
    for batch, found in measured_batches(
        plan, shard, following, encoder, prompted, measures, reporter, pieces
    ):
        norms = found.double().cpu().numpy()
        _refuse_non_finite(norms, batch.indices, name)
        scores[place : place + len(norms)] = norms
        place += len(norms)
        checkpoint.keep(batch.number + 1, scores)
    seconds = time.monotonic() - started
    replanned = sum(meter.halvings for meter in meters) + (
        shard.last - following if pieces > 1 else 0
    )
    return EffortPart(shard, scores, plan.fingerprint, settings, seconds, replanned)


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
