"""Graphs of items against plain loops."""

import itertools
from collections import Counter

import numpy as np
import pytest
import scipy.sparse
from sklearn.metrics.pairwise import cosine_similarity

from dealrec.surrogates import item_graphs
from dealrec.surrogates.item_graphs import alike, normalised, transitions, users_and_items
from tests.dealrec.surrogates.data import ring_dataset

DATASET = ring_dataset(users=15, items=12)


def training_rows():
    offsets, items = DATASET.subsequences((0,))
    return [items[a:b].tolist() for a, b in itertools.pairwise(offsets)]


def test_users_and_items_are_those_of_training_each_once():
    dense = users_and_items(DATASET).toarray()
    expected = np.zeros_like(dense)
    for user, row in enumerate(training_rows()):
        expected[user, row] = 1
    np.testing.assert_array_equal(dense, expected)


def test_transitions_count_neighbours_of_the_same_sequence_in_both_directions():
    counts = Counter(
        pair
        for row in training_rows()
        for a, b in itertools.pairwise(row)
        if a != b
        for pair in ((a, b), (b, a))
    )
    expected = np.eye(DATASET.n_items)
    for (a, b), count in counts.items():
        expected[a, b] = count
    np.testing.assert_array_equal(transitions(DATASET).toarray(), expected)


def test_normalising_divides_by_the_roots_of_both_sums():
    matrix = users_and_items(DATASET)
    dense = matrix.toarray()
    rows, columns = dense.sum(1), dense.sum(0)
    for (user, item), value in np.ndenumerate(normalised(matrix).toarray()):
        expected = dense[user, item] and 1 / np.sqrt(rows[user] * columns[item])
        assert value == pytest.approx(expected)


def test_each_item_has_itself_and_its_most_similar_ones_with_weights_that_sum_to_one():
    chosen = users_and_items(DATASET)
    found = alike(chosen, 3).toarray()
    cosines = cosine_similarity(chosen.toarray().T)
    for item, row in enumerate(found):
        if not chosen.toarray()[:, item].any():
            assert not row.any()
            continue
        assert row.sum() == pytest.approx(1)
        kept, others = np.flatnonzero(row), np.flatnonzero(row == 0)
        assert item in kept and len(kept) <= 4
        if len(kept) == 4:
            assert cosines[item, kept].min() >= cosines[item, others].max() - 1e-6
        np.testing.assert_allclose(row[kept], cosines[item, kept] / cosines[item, kept].sum(), 1e-5)


@pytest.mark.parametrize("most", [1, 20, 60])
def test_similarities_are_computed_in_blocks_that_hold_no_more_than_so_many(monkeypatch, most):
    chosen, held = users_and_items(DATASET), []
    whole = alike(chosen, 3).toarray()
    monkeypatch.setattr(item_graphs, "_AT_ONCE", most)
    multiplied = scipy.sparse.csr_array.__matmul__

    def counted(self, other):
        found = multiplied(self, other)
        if scipy.sparse.issparse(found):
            held.append((self.shape[0], found.nnz))
        return found

    monkeypatch.setattr(scipy.sparse.csr_array, "__matmul__", counted)
    np.testing.assert_array_equal(alike(chosen, 3).toarray(), whole)
    assert len(held) > 1 and sum(items for items, _ in held) == DATASET.n_items
    assert all(items == 1 or similarities <= most for items, similarities in held)
