"""Sparse matrices of training interactions: users and items, neighbours in sequences, items alike.

There are ``U`` users, ``I`` items, and for each matrix its formula. All of them see training interactions
alone.
"""

import itertools

import numpy as np
import scipy.sparse

from dealrec.config import Split
from dealrec.data.dataset import SPLIT_CODES, Dataset, Float32, Int64

_AT_ONCE = 2_000_000
"""Similarities that are in memory at once, some 60 bytes each; one item may have more."""


def users_and_items(dataset: Dataset) -> scipy.sparse.csr_array:
    """Return [U, I] with a 1 where a user has chosen an item in training, however often."""
    training = dataset.splits == SPLIT_CODES[Split.TRAIN]
    users, items = dataset.users()[training], dataset.items[training]
    shape = (dataset.n_users, dataset.n_items)
    matrix = scipy.sparse.csr_array((np.ones(len(users), np.float32), (users, items)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def normalised(matrix: scipy.sparse.csr_array) -> scipy.sparse.csr_array:
    """Return ``D_r^(-1/2) M D_c^(-1/2)`` with the sums of rows and columns; empty ones stay empty."""
    rows, columns = (_inverse_root(np.asarray(matrix.sum(axis)).ravel()) for axis in (1, 0))
    return scipy.sparse.csr_array(matrix.multiply(rows[:, None]).multiply(columns[None]))


def transitions(dataset: Dataset) -> scipy.sparse.csr_array:
    """Return [I, I] of how often two items stand beside each other in a sequence, in either order.

    The diagonal is 1, for the item itself.
    """
    offsets, items = dataset.subsequences((SPLIT_CODES[Split.TRAIN],))
    first, second = neighbours(offsets, items.astype(np.int64))
    rows, columns = np.concatenate([first, second]), np.concatenate([second, first])
    here = rows != columns
    rows, columns = rows[here], columns[here]
    itself = np.arange(dataset.n_items)
    values = np.ones(len(rows) + len(itself), np.float32)
    places = np.concatenate([rows, itself]), np.concatenate([columns, itself])
    matrix = scipy.sparse.csr_array((values, places), shape=(dataset.n_items,) * 2)
    matrix.sum_duplicates()
    return matrix


def neighbours(offsets: Int64, items: Int64) -> tuple[Int64, Int64]:
    """Return the pairs of items that follow each other in the sequences ``items[offsets[u]:…]``."""
    if len(items) < 2:
        return items[:0], items[:0]
    within = np.ones(len(items) - 1, bool)
    ends = offsets[1:-1]
    within[ends[(ends > 0) & (ends < len(items))] - 1] = False
    return items[:-1][within], items[1:][within]


def alike(chosen: scipy.sparse.csr_array, count: int) -> scipy.sparse.csr_array:
    """Return [I, I] of the cosine similarities of each item to itself and the ``count`` most similar ones.

    Two items are similar if the same users have chosen them; ``chosen`` is [U, I]. Each row sums to 1. Of
    items that are equally similar the first is taken. An item without users has none, not even itself.
    """
    lengths = _inverse_root(np.asarray(chosen.sum(0)).ravel())
    columns = scipy.sparse.csr_array(chosen.multiply(lengths[None]))
    by_item = scipy.sparse.csr_array(columns.T)
    parts = []
    for start, end in itertools.pairwise(_blocks(chosen)):
        part = scipy.sparse.csr_array(by_item[start:end] @ columns).tocoo()
        order = np.lexsort((part.col, -part.data.round(6), part.row))
        rows, others, values = part.row[order], part.col[order], part.data[order]
        starts = np.searchsorted(rows, rows)
        kept = np.arange(len(rows)) - starts <= count
        parts.append((rows[kept] + start, others[kept], values[kept]))
    rows, others, values = (np.concatenate(one) for one in zip(*parts, strict=True))
    matrix = scipy.sparse.csr_array((values, (rows, others)), shape=(by_item.shape[0],) * 2)
    sums = np.asarray(matrix.sum(1)).ravel()
    scale = np.divide(1, sums, out=np.zeros_like(sums), where=sums > 0)
    return scipy.sparse.csr_array(matrix.multiply(scale[:, None])).astype(np.float32)


def _blocks(chosen: scipy.sparse.csr_array) -> list[int]:
    """Return the ends of blocks of items, from 0, that have at most ``_AT_ONCE`` similarities each.

    An item has at most as many as its users have chosen items, and as there are items.
    """
    users = np.diff(chosen.indptr).astype(np.float64)
    most = np.minimum((chosen != 0).T @ users, chosen.shape[1])
    ends, held = [0], 0.0
    for item, count in enumerate(most):
        if held and held + count > _AT_ONCE:
            ends.append(item)
            held = 0.0
        held += count
    return [*ends, len(most)]


def _inverse_root(sums: Float32) -> Float32:
    found: Float32 = np.divide(1, np.sqrt(sums), out=np.zeros_like(sums), where=sums > 0)
    return found
