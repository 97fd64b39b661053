"""Training batches of sequences of similar length, with little padding, repeatable by their seed."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from dealrec.config import Split
from dealrec.data.dataset import SPLIT_CODES, Dataset, Int32, Int64
from dealrec.errors import InputError
from dealrec.metrics.ranking import pad


@dataclass(frozen=True)
class TrainingSequences:
    """``S`` training sequences with at least two items each.

    Sequence ``s`` is ``items[starts[s]:ends[s]]``. All its items but the first are targets.
    """

    items: Int32
    starts: Int64
    ends: Int64
    n_items: int

    @classmethod
    def of(cls, dataset: Dataset, max_length: int, *, windows: bool = False) -> "TrainingSequences":
        """Collect every user's most recent ``max_length + 1`` training items.

        With ``windows`` the items before these follow in further sequences of as many, the last item of
        one being the first of the next. So every training item but a user's first is a target once.

        Raises:
            InputError: ``no_training_sequences`` if no user has two training items.
        """
        offsets, items = dataset.subsequences((SPLIT_CODES[Split.TRAIN],))
        starts, ends = offsets[:-1], offsets[1:]
        if windows:
            counts = np.maximum(-(-(ends - starts - 1) // max_length), 1)
            earlier = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            starts = np.repeat(starts, counts)
            ends = np.repeat(ends, counts) - earlier * max_length
        starts = np.maximum(starts, ends - max_length - 1)
        long_enough = ends - starts >= 2
        if not long_enough.any():
            raise InputError(
                (
                    "No user has two items in the training split, so there is nothing for a surrogate to "
                    "learn."
                ),
                code="no_training_sequences",
            )
        return cls(items, starts[long_enough], ends[long_enough], dataset.n_items)

    @property
    def positions(self) -> Int64:
        """[S] the number of training positions of each sequence, one less than its items."""
        return self.ends - self.starts - 1

    def batch(self, sequences: Int64) -> Tensor:
        """Return the items [B, T + 1] int64 of ``B`` sequences, padded on the right with ``n_items``."""
        rows = [self.items[self.starts[s] : self.ends[s]] for s in sequences]
        return pad(rows, self.n_items)[0]


def bucketed_batches(
    positions: Int64, batch_tokens: int, generator: np.random.Generator
) -> list[Int64]:
    """Cut the sequences into batches of at most ``batch_tokens`` positions, or of a single sequence.

    The sequences of a batch are neighbours in length. The order of sequences of equal length and the
    order of the batches are random; the number of batches is not.
    """
    order = generator.permutation(len(positions))
    order = order[np.argsort(positions[order], kind="stable")]
    cuts = [0]
    for index, width in enumerate(positions[order].tolist()):
        if (index - cuts[-1] + 1) * width > batch_tokens and index > cuts[-1]:
            cuts.append(index)
    cuts.append(len(order))
    batches = generator.permutation(len(cuts) - 1).tolist()
    return [order[cuts[batch] : cuts[batch + 1]] for batch in batches]
