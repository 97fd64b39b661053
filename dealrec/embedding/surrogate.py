"""Embeds samples as hidden states of the surrogate."""

import copy
from collections.abc import Iterator

import numpy as np
import torch

from dealrec.config.runtime import Runtime
from dealrec.data.dataset import Int64
from dealrec.data.samples import Samples
from dealrec.metrics.ranking import pad
from dealrec.progress import SILENT, Reporter
from dealrec.runtime import apply_runtime
from dealrec.selection.vectors import Float32
from dealrec.surrogates.interface import Surrogate

_BATCH_TOKENS = 8192


def surrogate_states(
    model: Surrogate,
    samples: Samples,
    *,
    runtime: Runtime | None = None,
    reporter: Reporter = SILENT,
) -> Float32:
    """Compute the [n, d] states after each sample's target, which encode history and answer.

    The model sees the last ``max_length`` items of history and target.

    Raises:
        Cancelled: ``reporter`` cancelled the run between batches.
    """
    device = apply_runtime((runtime or Runtime()).on_one_thread())
    model = copy.deepcopy(model).to(device).eval()
    found = np.empty((len(samples), model.item_vectors().shape[1]), dtype=np.float32)
    done = 0
    for batch in _batches(samples, model.max_length):
        ends = samples.target[batch] + 1
        starts = np.maximum(samples.start[batch], ends - model.max_length)
        rows = [samples.items[a:b] for a, b in zip(starts, ends, strict=True)]
        sequences, lengths = pad(rows, model.n_items)
        with torch.no_grad():
            states = model.states_at(
                sequences.to(device),
                torch.arange(len(batch), device=device),
                (lengths - 1).to(device),
            )
        found[batch] = states.float().cpu().numpy()
        done += len(batch)
        reporter.progress(done, len(samples), "sample")
    return found


def _batches(samples: Samples, max_length: int) -> Iterator[Int64]:
    """Cut the samples into batches of similar length; each sample is in one batch."""
    lengths = np.minimum(samples.target + 1 - samples.start, max_length)
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * lengths[order[stop]] <= _BATCH_TOKENS:
            stop += 1
        yield order[start:stop]
        start = stop
