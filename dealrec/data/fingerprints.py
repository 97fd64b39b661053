"""Fingerprints of samples, by which they are known again in a later version of the data."""

from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dealrec.data.dataset import Dataset
from dealrec.data.samples import Samples

UInt64 = npt.NDArray[np.uint64]
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""An odd number: multiplication by it permutes the numbers of 64 bits (Knuth's multiplicative hashing)."""


def sample_fingerprints(dataset: Dataset, samples: Samples) -> UInt64:
    """[n] a hash of what a prompt can say of each sample: items in order, their texts, times and ratings.

    Two samples with one fingerprint are the same but for a chance of about 2^-64 each. The hash of a
    sequence is the sum of the mixed hashes of its items and their places, so one running sum over all
    sequences serves every sample.
    """
    own = _item_hashes(dataset)[samples.items]
    for values in (samples.times, samples.ratings):
        if values is not None:
            own = _mixed(own ^ np.ascontiguousarray(values).astype("<f8").view(np.uint64))
    places = np.arange(len(samples.items), dtype=np.int64)
    first = np.zeros(len(places), np.int64)
    starts = np.unique(samples.start)
    if len(starts):
        behind = np.searchsorted(starts, places, side="right") - 1
        first = starts[np.maximum(behind, 0)]
    mixed = _mixed(own + (places - first).astype(np.uint64) * _MULTIPLIER)
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
    lengths = samples.history_lengths.astype(np.uint64)
    found: UInt64 = _mixed(sums[samples.target + 1] - sums[samples.start]) ^ _mixed(
        lengths * _MULTIPLIER
    )
    return found


def _item_hashes(dataset: Dataset) -> UInt64:
    """[I] a hash of each item's id, title and texts."""
    columns = [dataset.item_ids, dataset.titles]
    columns += [dataset.item_texts[name] for name in sorted(dataset.item_texts)]
    names = "\0".join(sorted(dataset.item_texts)).encode()
    table = pa.table(columns, names=[str(at) for at in range(len(columns))])
    digests: list[bytes] = []
    for batch in table.to_batches(max_chunksize=2**16):
        rows = zip(*(column.to_pylist() for column in batch.columns), strict=True)
        digests += [blake2b(repr(row).encode() + names, digest_size=8).digest() for row in rows]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def _mixed(values: UInt64) -> UInt64:
    """Mix the bits of each number (the finaliser of SplitMix64, Steele et al., OOPSLA 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: UInt64 = values ^ (values >> np.uint64(31))
    return mixed
