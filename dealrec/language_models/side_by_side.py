"""Measures batches side by side on a CPU, with results that do not depend on the number of threads.

Sums over several threads depend on how many there are. So every operation runs on one thread, and
other threads measure other batches meanwhile, each on modules of its own over the same parameters.
"""

import copy
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from queue import SimpleQueue

import torch
from torch import Tensor

from dealrec.config.runtime import Runtime
from dealrec.data.prompts import PromptedSample
from dealrec.language_models.batch_plan import BatchPlan, EncodedBatch, Shard, encoded_batches
from dealrec.language_models.loading import LoadedLanguageModel
from dealrec.language_models.memory import run_in_pieces
from dealrec.language_models.tokens import EncodedSample, Encoder
from dealrec.progress import Reporter

Measure = Callable[[Sequence[EncodedSample]], Tensor]
"""Maps ``b`` samples to a tensor [b, …]."""
_MOST = 8
"""The most batches at a time; each holds the logits of some hundred tokens."""


def side_by_side(
    loaded: LoadedLanguageModel, runtime: Runtime | None, batches: int, pieces: int = 1
) -> list[LoadedLanguageModel]:
    """Return the model, and copies over the same parameters for further threads.

    There are none on a GPU, and none where memory did not hold a batch whole (``pieces`` above 1).
    """
    alone = loaded.device.type != "cpu" or pieces > 1
    threads = 1 if alone else min((runtime or Runtime()).resolved_threads, batches, _MOST)
    return [loaded, *(_over_same_parameters(loaded) for _ in range(threads - 1))]


def _over_same_parameters(loaded: LoadedLanguageModel) -> LoadedLanguageModel:
    tensors = chain(loaded.model.parameters(), loaded.model.buffers())
    return replace(
        loaded, model=copy.deepcopy(loaded.model, {id(tensor): tensor for tensor in tensors})
    )


def measured_batches(
    plan: BatchPlan,
    shard: Shard,
    following: int,
    encoder: Encoder,
    prompted: Callable[[int], PromptedSample],
    measures: Sequence[Measure],
    reporter: Reporter,
    pieces: int = 1,
) -> Iterator[tuple[EncodedBatch, Tensor]]:
    """Measure a shard's batches from batch ``following`` on, and yield them in order.

    ``measures`` are used at the same time, each by one thread; they must not share modules.
    ``reporter`` is told of a batch's samples when the next batch is asked for, and may cancel then.
    """
    offset = int(plan.bounds[shard.first])
    total = int(plan.bounds[shard.last]) - offset
    reporter.progress(int(plan.bounds[following]) - offset, total, "sample")
    batches = encoded_batches(plan, shard, following, encoder, prompted)
    for batch, found in _in_order(batches, measures, pieces):
        yield batch, found
        reporter.progress(int(plan.bounds[batch.number + 1]) - offset, total, "sample")


def _in_order(
    batches: Iterator[EncodedBatch], measures: Sequence[Measure], pieces: int
) -> Iterator[tuple[EncodedBatch, Tensor]]:
    if len(measures) == 1:
        for batch in batches:
            yield batch, run_in_pieces(batch.samples, measures[0], pieces)
        return
    free: SimpleQueue[Measure] = SimpleQueue()
    for measure in measures:
        free.put(measure)

    def run(batch: EncodedBatch) -> Tensor:
        measure = free.get()
        try:
            return run_in_pieces(batch.samples, measure, pieces)
        finally:
            free.put(measure)

    pool = ThreadPoolExecutor(len(measures), initializer=torch.set_num_threads, initargs=(1,))
    running: deque[tuple[EncodedBatch, Future[Tensor]]] = deque()
    try:
        for batch in batches:
            running.append((batch, pool.submit(run, batch)))
            if len(running) == len(measures):
                first, found = running.popleft()
                yield first, found.result()
        while running:
            first, found = running.popleft()
            yield first, found.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
