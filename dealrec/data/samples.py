"""Samples: the pairs of a history and a target that a data set gives."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dealrec.config import Sampling, Split
from dealrec.config.data import no_given_samples
from dealrec.data.dataset import SPLIT_CODES, Dataset, Float32, Int32, Int64
from dealrec.data.given import GivenSamples
from dealrec.data.times import unit_of


@dataclass(frozen=True)
class Samples:
    """``n`` samples over the **training** sequences of a data set, as columns.

    Sample ``i`` has the target ``items[target[i]]`` and the history ``items[start[i]:target[i]]``,
    which are the user's training items before it, oldest first. Samples are ordered by user and then
    by position; the index in this order is the dense index ``0..n-1``.
    """

    unit: Sampling
    users: Int32
    """[n] dense user indices."""
    items: Int32
    """Dense item indices of all users' training sequences; ``start`` and ``target`` index into it."""
    start: Int64
    """[n] index of the user's first item in ``items``."""
    target: Int64
    """[n] index of the target in ``items``; ``target - start`` is the length of the history."""
    positions: Int64
    """[n] place of the target in the user's sequence of all splits, from 0."""
    times: Int64 | None = None
    """The timestamp of each of ``items``; ``None`` if the data set has none."""
    ratings: Float32 | None = None
    """The rating of each of ``items``; ``None`` if the data set keeps none."""
    given: GivenSamples | None = None
    """The samples that came with the data, where these are they."""

    def __len__(self) -> int:
        return len(self.users)

    @property
    def has_ids(self) -> bool:
        """Whether histories and targets are items; texts alone have an empty history and no target."""
        return len(self.items) > 0

    @property
    def targets(self) -> Int32:
        """[n] dense item index of each sample's target."""
        return self.items[self.target]

    @property
    def target_times(self) -> Int64 | None:
        """[n] timestamp of each sample's target."""
        return None if self.times is None else self.times[self.target]

    @property
    def day(self) -> float | None:
        """The number of units of ``times`` in a day; ``None`` where they are no dates."""
        unit = None if self.times is None else unit_of(self.times)
        return None if unit is None else 86_400.0 * unit.a_second

    @property
    def history_lengths(self) -> Int64:
        """[n] number of items before the target."""
        return self.target - self.start

    def history(self, index: int, limit: int | None = None) -> Int32:
        """Dense items of the history of sample ``index``, oldest first; at most the last ``limit``."""
        return self.items[self._places(index, limit)]

    def history_times(self, index: int, limit: int | None = None) -> Int64 | None:
        """The timestamps of :meth:`history`."""
        return None if self.times is None else self.times[self._places(index, limit)]

    def _places(self, index: int, limit: int | None) -> slice:
        first, last = int(self.start[index]), int(self.target[index])
        return slice(first if limit is None else max(first, last - limit), last)

    def keys(self, dataset: Dataset) -> pa.Array:
        """[n] stable text keys: ``user``, ``user:position`` for ``per_interaction``, or their own."""
        if self.given is not None:
            return self.given.keys
        users = dataset.user_ids.take(pa.array(self.users))
        if self.unit is Sampling.PER_USER:
            return users
        import pyarrow.compute as pc

        return pc.binary_join_element_wise(users, pa.array(self.positions).cast(pa.string()), ":")


def train_lengths(dataset: Dataset) -> dict[str, int]:
    """The number of users for each number of training items, as JSON has it."""
    offsets, _ = dataset.subsequences((SPLIT_CODES[Split.TRAIN],))
    lengths, users = np.unique(np.diff(offsets), return_counts=True)
    return {str(length): int(count) for length, count in zip(lengths, users, strict=True)}


def build_samples(
    dataset: Dataset, sampling: Sampling = Sampling.AUTO, min_history: int = 1
) -> Samples:
    """Make all samples of the training split with at least ``min_history`` items of history.

    With ``per_user`` a user's last training item is the target. With ``per_interaction`` every
    training item with enough history is a target once. With ``given`` the samples are those that came
    with the data, whatever the length of their histories.

    Raises:
        InputError: ``no_given_samples`` where no samples came with the data and they are asked for.
    """
    sampling = sampling.of_data(given=dataset.given is not None)
    if sampling is Sampling.GIVEN:
        if dataset.given is None:
            raise no_given_samples("sampling")
        given = dataset.given
        return _given_samples(
            given if dataset.has_ids else given.of_split(SPLIT_CODES[Split.TRAIN])
        )
    train = SPLIT_CODES[Split.TRAIN]
    offsets, items = dataset.subsequences((train,))
    lengths = np.diff(offsets)
    rank = np.arange(dataset.n_interactions) - np.repeat(
        dataset.offsets[:-1], np.diff(dataset.offsets)
    )
    here = dataset.splits == train
    ranks = rank[here]
    if sampling is Sampling.PER_USER:
        users = np.flatnonzero(lengths > min_history)
        start, target = offsets[users], offsets[users + 1] - 1
    else:
        owner = np.repeat(np.arange(dataset.n_users), lengths)
        target = np.flatnonzero(np.arange(len(items)) - offsets[owner] >= min_history)
        users = owner[target]
        start = offsets[users]
    return Samples(
        unit=sampling,
        users=users.astype(np.int32),
        items=items,
        start=start.astype(np.int64),
        target=target.astype(np.int64),
        positions=ranks[target].astype(np.int64),
        times=None if dataset.times is None else dataset.times[here],
        ratings=None if dataset.ratings is None else dataset.ratings[here],
    )


def _given_samples(given: GivenSamples) -> Samples:
    return Samples(
        unit=Sampling.GIVEN,
        users=given.users,
        items=given.items,
        start=given.offsets[:-1],
        target=given.offsets[1:] - 1,
        positions=np.diff(given.offsets) - 1,
        given=given,
    )


def held_out_samples(dataset: Dataset, split: Split, at_most: int | None = None) -> Samples | None:
    """Make samples whose target is a user's first item of ``split``, for evaluation only.

    The history is all items of the user in earlier splits; users without any are left out. If there
    are more than ``at_most`` users, ``at_most`` of them are taken, evenly spread. Of texts without ids
    they are those of ``split``.

    Returns:
        The samples, or ``None`` when no user has both a history and a target.
    """
    if not dataset.has_ids:
        return _held_out_texts(dataset, split, at_most)
    asked, before = SPLIT_CODES[split], dataset.splits < SPLIT_CODES[split]
    owners = dataset.users()
    places = np.flatnonzero(dataset.splits == asked)
    users, first = np.unique(owners[places], return_index=True)
    first = places[first]
    histories = np.bincount(owners[before], minlength=dataset.n_users)
    users, first = users[histories[users] > 0], first[histories[users] > 0]
    if not len(users):
        return None
    if at_most is not None and len(users) > at_most:
        spread = np.arange(at_most) * len(users) // at_most
        users, first = users[spread], first[spread]
    kept = np.concatenate([np.flatnonzero(np.isin(owners, users) & before), first])
    # Each user's items of earlier splits in order, then the target.
    kept = kept[np.lexsort((kept, dataset.splits[kept], owners[kept]))]
    target = np.flatnonzero(dataset.splits[kept] == asked)
    return Samples(
        unit=Sampling.PER_USER,
        users=users.astype(np.int32),
        items=dataset.items[kept],
        start=target - histories[users],
        target=target.astype(np.int64),
        positions=(first - dataset.offsets[users]).astype(np.int64),
        times=None if dataset.times is None else dataset.times[kept],
        ratings=None if dataset.ratings is None else dataset.ratings[kept],
    )


def _held_out_texts(dataset: Dataset, split: Split, at_most: int | None) -> Samples | None:
    assert dataset.given is not None
    texts = dataset.given.of_split(SPLIT_CODES[split])
    if at_most is not None and len(texts) > at_most:
        texts = texts.texts_at(np.arange(at_most) * len(texts) // at_most)
    return _given_samples(texts) if len(texts) else None


def validation_samples(dataset: Dataset, at_most: int | None = None) -> Samples | None:
    """:func:`held_out_samples` of the validation split."""
    return held_out_samples(dataset, Split.VALID, at_most)
