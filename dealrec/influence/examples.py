"""Examples of a risk: the positions whose losses count, with their weights, cut into batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dealrec.config import SampleLoss, Split
from dealrec.data.dataset import SPLIT_CODES, Dataset, Int32, Int64
from dealrec.data.samples import Samples

LOGIT_ELEMENTS = 1 << 23
"""The most loss positions of a batch times columns of the softmax that are in memory at once.

This is 32 MiB in float32, the largest block that the allocator reuses for the next batch
(:mod:`dealrec.runtime`). Smaller blocks make the products with the item vectors slower.
"""
BATCH_TOKENS = 8192


@dataclass(frozen=True)
class Batch:
    """``B`` examples as tensors, padded on the right."""

    index: Tensor
    """[B] int64 the examples' dense indices."""
    sequences: Tensor
    """[B, T] int64 the input items."""
    targets: Tensor
    """[B, T] int64 the item after each input; item 0 on padding."""
    weights: Tensor
    """[B, T] the positions' weights. Each row sums to 1, so all examples weigh the same in a risk."""

    def positions(self) -> "Positions":
        """Return the positions that count in the losses."""
        rows, columns = torch.nonzero(self.weights, as_tuple=True)
        place = (rows, columns)
        return Positions(self.sequences, rows, columns, self.targets[place], self.weights[place])


@dataclass(frozen=True)
class Positions:
    """The ``M`` positions of a batch whose losses count."""

    sequences: Tensor
    """[B, T] the sequences of the batch."""
    rows: Tensor
    """[M] the row of each position."""
    columns: Tensor
    """[M] the column of each position."""
    targets: Tensor
    """[M] the item after each position."""
    weights: Tensor
    """[M] the weight of each position in its example's loss."""


@dataclass(frozen=True)
class Examples:
    """``E`` examples.

    The inputs of example ``e`` are ``items[starts[e]:ends[e]]``; its target is ``items[ends[e]]``.
    """

    items: Int32
    starts: Int64
    ends: Int64
    loss: SampleLoss
    n_items: int

    def __len__(self) -> int:
        return len(self.starts)

    @classmethod
    def of_samples(
        cls, samples: Samples, n_items: int, max_length: int, loss: SampleLoss
    ) -> "Examples":
        """Make examples of the samples, in dense order, with the last ``max_length`` items of history."""
        starts = np.maximum(samples.start, samples.target - max_length)
        return cls(samples.items, starts, samples.target, loss, n_items)

    @classmethod
    def of_validation(cls, dataset: Dataset, max_length: int, loss: SampleLoss) -> "Examples":
        """Make examples of each user's first validation item after the training items.

        Users without a training item have no example.
        """
        train, valid = SPLIT_CODES[Split.TRAIN], SPLIT_CODES[Split.VALID]
        users = dataset.users()
        in_valid = np.flatnonzero(dataset.splits == valid)
        _, first = np.unique(users[in_valid], return_index=True)
        kept = np.concatenate([np.flatnonzero(dataset.splits == train), in_valid[first]])
        kept = kept[np.lexsort((kept, dataset.splits[kept], users[kept]))]
        ends = np.flatnonzero(dataset.splits[kept] == valid)
        counts = np.bincount(users[kept], minlength=dataset.n_users)
        begins = np.concatenate([[0], np.cumsum(counts)[:-1]])[users[kept][ends]]
        starts = np.maximum(begins, ends - max_length)
        known = ends > begins
        return cls(dataset.items[kept], starts[known], ends[known], loss, dataset.n_items)

    @property
    def tokens(self) -> Int64:
        """[E] the number of positions that count in each example's loss."""
        if self.loss is SampleLoss.LAST:
            return np.ones(len(self), dtype=np.int64)
        return self.ends - self.starts

    def evenly(self, tokens: int) -> "Examples":
        """Take examples spread evenly, with about ``tokens`` loss positions; all if there are fewer."""
        total = int(self.tokens.sum())
        if total <= tokens:
            return self
        count = max(1, tokens * len(self) // total)
        return self.take(np.arange(count) * len(self) // count)

    def take(self, picked: Int64) -> "Examples":
        """Take the examples with these dense indices, in this order."""
        return Examples(self.items, self.starts[picked], self.ends[picked], self.loss, self.n_items)

    def parts(self, count: int) -> "list[Examples]":
        """Cut into at most ``count`` disjoint, nonempty parts of similar size, each spread evenly."""
        count = min(count, len(self))
        return [self.take(np.arange(first, len(self), count)) for first in range(count)]

    def batches(
        self, dtype: torch.dtype, device: torch.device, columns: int | None = None
    ) -> Iterator[Batch]:
        """Yield batches of examples of similar length, the same batches each time.

        ``columns`` is the number of columns of the softmax, by default the whole catalogue; it bounds
        the number of losses in a batch.
        """
        lengths = self.ends - self.starts
        order = np.argsort(lengths, kind="stable")
        widths = lengths[order]
        most_losses = max(1, LOGIT_ELEMENTS // (columns or self.n_items))
        start = 0
        while start < len(order):
            most_rows = max(1, BATCH_TOKENS // max(1, int(widths[start])))
            within = widths[start : start + most_rows]
            rows = np.arange(1, len(within) + 1)
            tokens = rows * within
            losses = tokens if self.loss is SampleLoss.SEQUENCE else rows
            # Both numbers grow with every row, so the rows that fit come first.
            fitting = np.count_nonzero((tokens <= BATCH_TOKENS) & (losses <= most_losses))
            stop = start + max(1, int(fitting))
            yield self._batch(order[start:stop], dtype, device)
            start = stop

    def _batch(self, index: Int64, dtype: torch.dtype, device: torch.device) -> Batch:
        lengths = self.ends[index] - self.starts[index]
        places = np.arange(int(lengths.max()))
        known = places < lengths[:, None]
        at = np.where(known, self.starts[index, None] + places, 0)
        inputs = np.where(known, self.items[at], self.n_items)
        targets = np.where(known, self.items[np.where(known, at + 1, 0)], 0)
        if self.loss is SampleLoss.LAST:
            weights = torch.from_numpy(places == lengths[:, None] - 1).to(dtype)
        else:
            weights = torch.from_numpy(known).to(dtype) / torch.from_numpy(lengths)[:, None]
        return Batch(
            torch.from_numpy(index).to(device),
            torch.from_numpy(inputs.astype(np.int64)).to(device),
            torch.from_numpy(targets.astype(np.int64)).to(device),
            weights.to(device),
        )
