"""The batches in which a language model reads samples, from data and configuration alone."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.config.effort import TokenOptions
from dealrec.config.prompt import PromptConfig
from dealrec.data.dataset import Dataset, Int32, Int64
from dealrec.data.prompter import Prompter
from dealrec.data.prompts import PromptedSample
from dealrec.data.samples import Samples
from dealrec.language_models.loading import load_tokenizer
from dealrec.language_models.tokens import EncodedSample, Encoder, batches_by_tokens, reads_chat
from dealrec.progress import SILENT, Reporter

_BATCHES = "plan.parquet"
_FACTS = "plan.json"
_ENCODED_AT_ONCE = 1024


@dataclass(frozen=True)
class Shard:
    """The batches ``first`` to ``last - 1`` of a plan; there may be none."""

    first: int
    last: int


@dataclass(frozen=True)
class BatchPlan:
    """The samples that are measured together, for effort, embeddings and gradients.

    ``m`` of the ``n`` samples of a data set are measured in ``k`` batches, longest samples first.
    The results of a batch depend on its own samples alone, so shards (ranges of batches) measured
    apart and merged equal a single run, bit for bit on a CPU.
    """

    count: int
    """``n``, the samples of the data set."""
    order: Int64
    """[m] dense sample indices, batch after batch."""
    bounds: Int64
    """[k + 1] where each batch begins; batch ``j`` is ``order[bounds[j]:bounds[j + 1]]``."""
    tokens: Int32
    """[m] the number of tokens of each sample as the model reads it, in the order of ``order``."""
    answer_tokens: Int32
    """[m] how many of these tokens are the answer, the end of text included."""
    prefix: tuple[int, ...]
    """Tokens that all measured samples begin with: the instruction."""
    fingerprint: str
    """SHA-256 over everything the results depend on except the language model's weights."""

    @property
    def batches(self) -> int:
        """``k``, the number of batches."""
        return len(self.bounds) - 1

    def batch(self, number: int) -> list[int]:
        """Return the dense sample indices of one batch."""
        indices: list[int] = self.order[self.bounds[number] : self.bounds[number + 1]].tolist()
        return indices

    def samples(self, shard: Shard) -> Int64:
        """Return the dense sample indices of a shard, batch after batch."""
        return self.order[self.bounds[shard.first] : self.bounds[shard.last]]

    def whole(self) -> Shard:
        """Return the shard that holds every batch."""
        return Shard(0, self.batches)

    def shards(self, count: int) -> list[Shard]:
        """Cut the batches into ``count`` consecutive ranges that take about equally long.

        The cost of a batch is its number of tokens, padding included. Some shards are empty if
        there are fewer batches than shards.
        """
        sizes = np.diff(self.bounds)
        cost = np.concatenate(
            [[0], np.cumsum(sizes * self.tokens[self.bounds[:-1]], dtype=np.int64)]
        )
        wanted = cost[-1] * np.arange(1, count) / count
        cuts = np.searchsorted((cost[:-1] + cost[1:]) / 2, wanted)
        edges = [0, *cuts.tolist(), self.batches]
        return [Shard(first, last) for first, last in pairwise(edges)]

    def save(self, folder: Path) -> None:
        """Write ``plan.parquet`` (one row per measured sample) and ``plan.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        table = pa.table(
            {
                "sample": self.order,
                "batch": np.repeat(np.arange(self.batches, dtype=np.int32), np.diff(self.bounds)),
                "tokens": self.tokens,
                "answer_tokens": self.answer_tokens,
            }
        )
        pq.write_table(table, folder / _BATCHES, compression="zstd")
        facts = {"count": self.count, "prefix": self.prefix, "fingerprint": self.fingerprint}
        (folder / _FACTS).write_text(json.dumps(facts, indent=2))

    @classmethod
    def load(cls, folder: Path) -> "BatchPlan":
        """Read a plan that :meth:`save` wrote."""
        table = pq.read_table(folder / _BATCHES)
        facts = json.loads((folder / _FACTS).read_text())
        sizes = np.bincount(table["batch"].to_numpy())
        return cls(
            count=facts["count"],
            order=table["sample"].to_numpy(),
            bounds=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            tokens=table["tokens"].to_numpy(),
            answer_tokens=table["answer_tokens"].to_numpy(),
            prefix=tuple(facts["prefix"]),
            fingerprint=facts["fingerprint"],
        )


@dataclass(frozen=True)
class EncodedBatch:
    """A batch of a plan as tokens."""

    number: int
    """The place of the batch in the plan."""
    indices: list[int]
    """The dense sample indices."""
    samples: list[EncodedSample]


def encoded_batches(
    plan: BatchPlan,
    shard: Shard,
    following: int,
    encoder: Encoder,
    prompted: Callable[[int], PromptedSample],
) -> Iterator[EncodedBatch]:
    """Tokenize a shard's batches one by one, from batch ``following`` on."""
    for number in range(following, shard.last):
        indices = plan.batch(number)
        yield EncodedBatch(number, indices, encoder.encode([prompted(index) for index in indices]))


def plan_samples(
    dataset: Dataset,
    samples: Samples,
    prompt: PromptConfig,
    config: TokenOptions,
    *,
    candidates: Int64 | None = None,
    reporter: Reporter = SILENT,
) -> BatchPlan:
    """Render and tokenize each sample once to learn its length, and cut batches by length.

    This loads the tokenizer but not the model.

    Args:
        dataset: The data set with the items' titles.
        samples: Its ``n`` samples.
        prompt: The words around a sample.
        config: The model, the token limit and the tokens of a batch.
        candidates: Dense indices of the samples to measure, ascending; all samples by default.
        reporter: Asked regularly whether to cancel; its progress stays at 0.

    Raises:
        InputError: ``unknown_model``, ``model_not_available``, ``max_tokens_too_small``.
    """
    tokenizer, longest = load_tokenizer(config.model, reporter=reporter)
    return plan_batches(
        Encoder(
            tokenizer,
            min(config.max_tokens, longest or config.max_tokens),
            chat=reads_chat(config.model, tokenizer),
        ),
        Prompter(dataset, samples, prompt).prompt,
        len(samples),
        config,
        candidates=candidates,
        identity=[dataset.sha256, samples.unit.value, prompt.model_dump(mode="json")],
        reporter=reporter,
    )


def plan_batches(
    encoder: Encoder,
    prompted: Callable[[int], PromptedSample],
    count: int,
    config: TokenOptions,
    *,
    candidates: Int64 | None = None,
    identity: object = None,
    reporter: Reporter = SILENT,
) -> BatchPlan:
    """Plan the batches of the samples ``prompted(0)`` to ``prompted(count - 1)``.

    ``identity`` (JSON) identifies the samples and enters the fingerprint. The other arguments and
    the errors are those of :func:`plan_samples`.
    """
    measured = np.arange(count, dtype=np.int64) if candidates is None else candidates
    tokens = np.empty(len(measured), dtype=np.int32)
    answers = np.empty(len(measured), dtype=np.int32)
    extremes: list[list[int]] = []
    for part in _chunks(len(measured)):
        reporter.progress(0, len(measured), "sample")
        encoded = encoder.encode([prompted(int(index)) for index in measured[part]])
        tokens[part] = [len(sample) for sample in encoded]
        answers[part] = [len(sample) - sample.answer for sample in encoded]
        prompts = [sample.ids[: sample.answer] for sample in encoded]
        # A prefix of both the lexically first and the last prompt is a prefix of all prompts.
        extremes = [min(prompts + extremes[:1]), max(prompts + extremes[1:])]
    batches = batches_by_tokens(tokens.tolist(), config.batch_tokens)
    places = np.array([place for batch in batches for place in batch], dtype=np.int64)
    common = takewhile(lambda pair: pair[0] == pair[1], zip(*extremes, strict=False))
    # Each sample keeps at least one token of its own.
    prefix = tuple(token for token, _ in common)[: max(0, int(min(tokens, default=1)) - 1)]
    order = measured[places]
    settings = config.model_dump(mode="json", exclude={"shard_samples"})
    return BatchPlan(
        count=count,
        order=order,
        bounds=np.cumsum([0, *map(len, batches)], dtype=np.int64),
        tokens=tokens[places],
        answer_tokens=answers[places],
        prefix=prefix,
        fingerprint=_fingerprint([settings, identity, count, prefix], [order, tokens]),
    )


def _chunks(count: int) -> Iterator[slice]:
    for start in range(0, count, _ENCODED_AT_ONCE):
        yield slice(start, min(start + _ENCODED_AT_ONCE, count))


def _fingerprint(settings: object, arrays: Sequence[npt.NDArray[np.generic]]) -> str:
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()
