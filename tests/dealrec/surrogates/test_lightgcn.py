"""LightGCN against the propagation of the paper, written out over users and items together."""

import itertools

import numpy as np
import pytest
import torch

from dealrec.config import SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.surrogates.training import train_surrogate
from tests.dealrec.surrogates.data import prepared, ring_dataset

DATASET = ring_dataset(users=8, items=9)


def training_sets():
    offsets, items = DATASET.subsequences((0,))
    return [sorted(set(items[a:b].tolist())) for a, b in itertools.pairwise(offsets)]


def papers_layers(model, count):
    """The vectors of users and items after each of ``count`` layers, one edge at a time."""
    own = model.item_embedding.weight.detach().numpy()[: model.n_items]
    sets = training_sets()
    users_of = [[u for u, chosen in enumerate(sets) if i in chosen] for i in range(model.n_items)]
    layers = [(np.zeros((len(sets), own.shape[1])), own)]
    for _ in range(count):
        users, items = layers[-1]
        next_users, next_items = np.zeros_like(users), np.zeros_like(items)
        for user, chosen in enumerate(sets):
            for item in chosen:
                weight = 1 / np.sqrt(len(chosen) * len(users_of[item]))
                next_users[user] += weight * items[item]
                next_items[item] += weight * users[user]
        layers.append((next_users, next_items))
    return layers


def test_vectors_are_the_means_of_the_papers_layers_that_are_not_zero():
    torch.manual_seed(0)
    model = prepared("lightgcn", DATASET, hidden_size=4, layers=2)
    layers = papers_layers(model, 5)
    items = np.mean([layers[place][1] for place in (0, 2, 4)], axis=0)
    np.testing.assert_allclose(model.item_vectors().detach().numpy(), items, rtol=1e-6, atol=1e-8)
    users = np.mean([layers[place][0] for place in (1, 3, 5)], axis=0)
    for user, chosen in enumerate(training_sets()):
        state = model(torch.tensor([chosen]))[0, -1].detach().numpy()
        np.testing.assert_allclose(state, users[user], rtol=1e-6, atol=1e-8)


def test_neither_order_nor_repetition_of_a_history_counts():
    model = prepared("lightgcn", DATASET, hidden_size=4)
    rows = torch.tensor([[1, 5, 2, 7], [7, 2, 1, 5]])
    states = model(rows)
    torch.testing.assert_close(states[0, -1], states[1, -1], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        model(torch.tensor([[1, 5, 1, 1]]))[0, -1], states[0, 1], rtol=1e-12, atol=1e-12
    )


def test_an_item_is_learned_from_all_others_of_its_set_whatever_their_order():
    model = prepared("lightgcn", DATASET, hidden_size=4)
    found = model.training_states(torch.tensor([[1, 5, 2, 7], [3, 9, 9, 9], [4, 4, 6, 9]]))
    assert found.targets.tolist() == [1, 5, 2, 7, 4, 4, 6]  # 3 is alone, 9 is padding
    for place, others in enumerate(([5, 2, 7], [1, 2, 7], [1, 5, 7], [1, 5, 2], [6], [6], [4])):
        expected = model(torch.tensor([others]))[0, -1]
        torch.testing.assert_close(found.states[place], expected, rtol=1e-9, atol=1e-12)


def test_a_shuffled_data_set_gives_the_same_items_as_one_in_order():
    """What is learned does not depend on the order in which a set was written down."""
    rng = np.random.default_rng(0)
    config = SurrogateConfig(
        model="lightgcn",
        hidden_size=8,
        epochs=2,
        batch_tokens=10_000,
        dropout=0,
        loss="full_softmax",
    )
    offsets, items = DATASET.offsets, DATASET.items.copy()
    for a, b in itertools.pairwise(offsets):
        training = np.flatnonzero(DATASET.splits[a:b] == 0) + a
        items[training] = rng.permutation(items[training])
    assert not np.array_equal(items, DATASET.items)
    shuffled = type(DATASET)(**{**vars(DATASET), "items": items})
    found = [
        train_surrogate(one, config, runtime=Runtime(device="cpu")).model.item_vectors()
        for one in (DATASET, shuffled)
    ]
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_it_learns_what_stands_together(dropout):
    """Users choose within groups of items: an unseen item of the group ranks above those of others."""
    rng = np.random.default_rng(1)
    rows = [rng.permutation(np.arange(6) + 6 * (user % 3))[:5] for user in range(60)]
    dataset = ring_dataset(users=60, items=18)
    together = type(dataset)(
        **{
            **vars(dataset),
            "items": np.concatenate(rows).astype(np.int32),
            "offsets": np.arange(61, dtype=np.int64) * 5,
            "splits": np.tile(np.array([0, 0, 0, 0, 2], np.int8), 60),
        }
    )
    config = SurrogateConfig(
        model="lightgcn",
        hidden_size=8,
        epochs=20,
        learning_rate=0.03,
        batch_tokens=100,
        dropout=dropout,
    )
    trained = train_surrogate(together, config, runtime=Runtime(device="cpu"))
    assert trained.metrics["test_recall@5"] > 0.9
