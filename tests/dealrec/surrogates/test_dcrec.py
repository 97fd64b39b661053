"""DCRec against its formulas with dense matrices and loops."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cosine_similarity, layer_norm

from dealrec.config import SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.surrogates.contrast import (
    conformity_divergence,
    conformity_weights,
    contrast,
    without_pairs,
)
from dealrec.surrogates.item_graphs import alike, normalised, transitions, users_and_items
from dealrec.surrogates.sasrec import SASRec
from dealrec.surrogates.training import train_surrogate
from tests.dealrec.surrogates.data import prepared, ring_dataset

DATASET = ring_dataset(users=10, items=9)
ROWS = torch.tensor([[0, 1, 2, 3], [4, 5, 9, 9], [7, 8, 0, 9]])
"""Sequences with padding (9) on the right."""


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    made = prepared("dcrec", DATASET, hidden_size=8, max_length=5, neighbours=2)
    for parameter in made.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return made


@pytest.fixture(scope="module")
def graphs():
    """[I, I] dense: neighbours in sequences, and items of the same users."""
    return [
        torch.from_numpy(one.toarray()).double()
        for one in (normalised(transitions(DATASET)), alike(users_and_items(DATASET), 2))
    ]


def dense(graph):
    full = torch.zeros(graph.shape, dtype=graph.values.dtype)
    full[graph.places[0], graph.places[1]] = graph.values
    return full


def dense_view(model, graph):
    items = model.item_vectors()
    mixed = items + (items + graph @ items + graph @ (graph @ items)) / 3
    return layer_norm(mixed, (8,), model.graph_norm.weight, model.graph_norm.bias)


def test_states_join_the_transformer_and_both_views_of_the_last_item(model, graphs):
    hidden = SASRec.forward(model, ROWS)
    views = [dense_view(model, graph.float().double()) for graph in graphs]
    states = model(ROWS)
    for row, place in ((0, 0), (0, 3), (1, 1), (2, 2)):
        item = int(ROWS[row, place])
        candidates = [one.detach() for one in (hidden[row, place], views[0][item], views[1][item])]
        weights = [
            float(model.fusion_weights.detach() @ (one @ model.fusion.detach()))
            for one in candidates
        ]
        total = sum(math.exp(weight) for weight in weights)
        expected = sum(
            math.exp(weight) / total * one for weight, one in zip(weights, candidates, strict=True)
        )
        torch.testing.assert_close(states[row, place], expected, rtol=1e-6, atol=1e-8)


def test_contrast_is_the_share_of_the_own_pair_in_all_pairs():
    torch.manual_seed(1)
    first, second = torch.randn(2, 5, 4, dtype=torch.float64)
    found = contrast(first, second, 0.7)
    for m in range(5):
        pairs = [float(cosine_similarity(first[m], second[n], dim=0)) / 0.7 for n in range(5)]
        expected = -math.log(math.exp(pairs[m]) / sum(math.exp(pair) for pair in pairs))
        assert found[m].item() == pytest.approx(expected)


def test_pairs_are_taken_from_the_graph_in_both_directions_and_nothing_else(model):
    graph = model.transitions.own
    found = without_pairs(graph, torch.tensor([0, 1, 5]), torch.tensor([1, 2, 5]))
    before, after = dense(graph), dense(found)
    gone = before != after
    assert sorted(map(tuple, torch.nonzero(gone).tolist())) == [(0, 1), (1, 0), (1, 2), (2, 1)]
    assert after[gone].abs().max() == 0


def test_conformity_is_the_scaled_agreement_of_an_item_with_other_users_sequences(model):
    graph = model.transitions.own
    others = without_pairs(graph, torch.tensor([0, 1, 2]), torch.tensor([1, 2, 3]))
    whole, left = dense(graph), dense(others)
    view, alone = dense_view(model, whole), dense_view(model, left)
    items, first = torch.tensor([0, 1, 2, 4, 4]), torch.tensor([True, False, False, True, False])
    found = conformity_weights(graph, others, view, alone, items, first, 0.4)
    raw = []
    for item in items.tolist():
        foreign = [n for n in range(9) if left[item, n] != 0]
        civil = [n for n in range(9) if whole[item, n] != 0 and n not in foreign]
        near = view[foreign].mean(0)
        own = view[civil].mean(0) if civil else torch.zeros(8, dtype=torch.float64)
        cosines = [
            cosine_similarity(a, b, dim=0)
            for a, b in ((view[item], alone[item]), (view[item], near), (own, near))
        ]
        raw.append(1 / (1 + math.exp(-torch.stack(cosines).mean().item())))
    scaled = np.array([(one - min(raw)) / (max(raw) - min(raw)) for one in raw])
    expected = np.where(first.numpy(), 0.5, 0.4 * scaled / scaled.mean())
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-6)


def test_the_divergence_of_conformity_compares_it_in_order_with_normal_draws():
    weights = torch.tensor([0.9, 0.1, 0.5], dtype=torch.float64)
    torch.manual_seed(4)
    found = conformity_divergence(weights, 0.5).item()
    torch.manual_seed(4)
    draws = np.sort(torch.normal(0.5, 0.1, (3,)).numpy())
    p, q = draws / draws.sum(), np.exp([0.1, 0.5, 0.9]) / np.exp([0.1, 0.5, 0.9]).sum()
    assert found == pytest.approx(float((p * np.log(p / q)).sum()), rel=1e-5)


def test_training_adds_the_contrast_weighted_by_conformity(model):
    torch.manual_seed(2)
    found = model.training_states(ROWS)
    read = torch.tensor([0, 1, 2, 4, 7, 8])
    hidden = SASRec.forward(model, ROWS[:, :-1])[ROWS[:, 1:] != 9]
    graph = model.transitions.own
    pairs = torch.tensor([[0, 1], [1, 2], [2, 3], [4, 5], [7, 8], [8, 0]])
    others = without_pairs(graph, *pairs.T)
    view, alone, by_alike = (
        dense_view(model, dense(one)) for one in (graph, others, model.alike.own)
    )
    first = torch.tensor([True, False, False, True, True, False])
    weights = conformity_weights(graph, others, view, alone, read, first, 0.5)
    near, far = contrast(hidden, view[read], 1.0), contrast(view[read], by_alike[read], 1.0)
    torch.manual_seed(2)
    expected = 0.1 * (weights * near + (weights.max() - weights) * far).mean()
    expected = expected + 0.01 * conformity_divergence(weights, 0.5)
    torch.testing.assert_close(found.added, expected, rtol=1e-6, atol=1e-9)
    assert found.targets.tolist() == [1, 2, 3, 5, 8, 0]
    assert (
        prepared("dcrec", DATASET, contrast=0, conformity_weight=0).training_states(ROWS)[2] is None
    )


def test_it_learns_to_name_the_next_item():
    dataset = ring_dataset(users=150)
    config = SurrogateConfig(
        model="dcrec",
        hidden_size=16,
        max_length=8,
        negatives=20,
        batch_tokens=128,
        epochs=6,
        learning_rate=0.02,
        dropout=0.1,
    )
    trained = train_surrogate(dataset, config, runtime=Runtime(device="cpu"))
    assert trained.metrics["test_recall@5"] > 0.6
