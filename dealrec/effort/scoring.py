"""Effort of every sample of a data set."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dealrec.config.data import PromptConfig
from dealrec.config.effort import EffortConfig
from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Dataset
from dealrec.data.prompts import PromptedSample, Prompter
from dealrec.data.samples import Samples
from dealrec.effort.gradients import EffortMeter
from dealrec.effort.scores import EffortScores
from dealrec.errors import DealrecError
from dealrec.language_models.loading import LoadedLanguageModel, load_language_model
from dealrec.language_models.tokens import EncodedSample, Encoder, batches_by_tokens, token_limit
from dealrec.progress import SILENT, Reporter
from dealrec.runtime import apply_runtime

_ENCODED_AT_ONCE = 1024


def score_effort(
    dataset: Dataset,
    samples: Samples,
    prompt: PromptConfig,
    config: EffortConfig,
    *,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
) -> EffortScores:
    """The LLM's gradient norm on each of ``n`` samples.

    Memory does not grow with the texts: samples are put into words and tokens twice, once for
    their lengths, from which the batches follow, and once when their batch is due.

    Raises:
        InputError: ``unknown_model``, ``model_not_available``, ``model_not_supported``,
            ``max_tokens_too_small``.
        DealrecError: ``non_finite_score``, naming the sample.
        Cancelled: When ``reporter`` says so, between batches.
    """
    device = apply_runtime(runtime or Runtime())
    loaded = load_language_model(config.model, dtype=config.dtype, device=device, reporter=reporter)
    prompter = Prompter(dataset, samples, prompt)

    def name(index: int) -> str:
        return str(samples.keys(dataset)[index])

    return measure_effort(loaded, prompter.prompt, len(samples), config, name, reporter)


def measure_effort(
    loaded: LoadedLanguageModel,
    prompted: Callable[[int], PromptedSample],
    count: int,
    config: EffortConfig,
    name: Callable[[int], str] = str,
    reporter: Reporter = SILENT,
) -> EffortScores:
    """Effort of the samples ``prompted(0)`` to ``prompted(count - 1)`` on a loaded model."""
    meter = EffortMeter(loaded, config)
    encoder = Encoder(loaded.tokenizer, token_limit(loaded, config.max_tokens))
    reporter.progress(0, count, "sample")
    lengths, answers = _lengths(encoder, prompted, count)
    batches = batches_by_tokens(lengths.tolist(), config.batch_tokens)
    scores = np.empty(count, dtype=np.float64)
    started, done = time.monotonic(), 0
    for batch in batches:
        encoded = encoder.encode([prompted(index) for index in batch])
        scores[batch] = meter.norms(encoded).double().cpu().numpy()
        _refuse_non_finite(scores, batch, name)
        done += len(batch)
        reporter.progress(done, count, "sample")
    seconds = time.monotonic() - started
    diagnostics = {
        "model": loaded.name,
        "revision": loaded.revision,
        "device": loaded.device.type,
        **config.model_dump(mode="json", exclude={"model"}),
        "samples": count,
        "batches": len(batches),
        "tokens": int(lengths.sum()),
        "seconds": seconds,
        "tokens_per_second": float(lengths.sum()) / max(seconds, 1e-9),
        "spearman_with_answer_length": spearman(scores, answers),
    }
    return EffortScores(scores, lengths, diagnostics)


def spearman(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float | None:
    """Rank correlation, ties sharing their mean rank; ``None`` where either is constant."""
    if len(a) < 2 or a.min() == a.max() or b.min() == b.max():
        return None
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def _ranks(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: npt.NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return ranks


def _lengths(
    encoder: Encoder,
    prompted: Callable[[int], PromptedSample],
    count: int,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """[n] tokens of each sample, and [n] of its answer."""
    lengths = np.empty(count, dtype=np.int32)
    answers = np.empty(count, dtype=np.int32)
    for indices in _chunks(count):
        encoded: Sequence[EncodedSample] = encoder.encode([prompted(i) for i in indices])
        lengths[indices] = [len(sample) for sample in encoded]
        answers[indices] = [len(sample) - sample.answer for sample in encoded]
    return lengths, answers


def _chunks(count: int) -> Iterator[range]:
    for start in range(0, count, _ENCODED_AT_ONCE):
        yield range(start, min(start + _ENCODED_AT_ONCE, count))


def _refuse_non_finite(
    scores: npt.NDArray[np.float64], batch: list[int], name: Callable[[int], str]
) -> None:
    bad = [index for index in batch if not np.isfinite(scores[index])]
    if bad:
        raise DealrecError(
            f"The effort of sample `{name(bad[0])}` is not a finite number.",
            code="non_finite_score",
            title="A score is not a finite number",
        )
