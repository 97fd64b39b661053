"""A recommender over texts: its formula, and what it knows of items that nobody has chosen."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.decomposition import TruncatedSVD
from threadpoolctl import threadpool_info, threadpool_limits

from dealrec.config import SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.errors import InputError
from dealrec.surrogates.item_texts import text_vectors
from dealrec.surrogates.training import train_surrogate
from tests.dealrec.surrogates.data import prepared, ring_dataset

GENRES = ("space comet", "garden rose", "racing wheels")


def dataset_of_genres(users=60, cold=3):
    """Users choose 4 of 6 items of one genre; the last ``cold`` items, one of each genre, nobody does."""
    rng, warm = np.random.default_rng(0), 18
    items = np.concatenate([3 * rng.permutation(6)[:4] + user % 3 for user in range(users)]).astype(
        np.int32
    )
    titles = [f"{GENRES[item % 3]} number{item}" for item in range(warm + cold)]
    return replace(
        ring_dataset(users=users, items=warm + cold),
        titles=pa.array(titles),
        items=items,
        offsets=np.arange(users + 1, dtype=np.int64) * 4,
        splits=np.zeros(len(items), np.int8),
    )


def test_states_and_items_are_the_formula():
    torch.manual_seed(0)
    model = prepared("content", ring_dataset(users=5, items=9), hidden_size=4, content_size=6)
    own = {name: value.detach() for name, value in model.named_parameters()}
    gelu = torch.nn.functional.gelu

    def linear(name, values):
        return own[f"{name}.weight"] @ values + own[f"{name}.bias"]

    vectors = [
        linear("item_outer", gelu(linear("item_inner", words))) for words in model.features[:9]
    ]
    torch.testing.assert_close(model.item_vectors(), torch.stack(vectors))
    history = [3, 1, 4]
    mean = sum(vectors[item] for item in history) / 3
    entering = gelu(linear("history", torch.cat([mean, vectors[4]])))
    torch.testing.assert_close(
        model(torch.tensor([history]))[0, -1], mean + linear("projection", entering)
    )


def test_word_vectors_are_alike_where_words_are_and_need_no_interaction():
    dataset = dataset_of_genres()
    vectors = text_vectors(dataset, 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 8**0.5, rtol=1e-5)
    cosines = vectors @ vectors.T / 8
    for item in range(21):
        same = [other for other in range(21) if other % 3 == item % 3 and other != item]
        others = [other for other in range(21) if other % 3 != item % 3]
        assert cosines[item, same].min() > cosines[item, others].max()
    again = text_vectors(replace(dataset, items=dataset.items[::-1].copy()), 8)
    assert np.array_equal(vectors, again)


def test_an_item_that_nobody_has_chosen_is_recommended_to_those_who_choose_its_like():
    """With vectors of their own for items, cold ones would be in any order."""
    dataset = dataset_of_genres()
    config = SurrogateConfig(
        model="content",
        hidden_size=16,
        content_size=8,
        epochs=30,
        batch_tokens=64,
        learning_rate=0.01,
    )
    model = train_surrogate(dataset, config, runtime=Runtime(device="cpu")).model
    histories = torch.tensor([[genre, genre + 3, genre + 6] for genre in range(3)])
    scores = model.scores(histories, torch.tensor([3, 3, 3]))[:, 18:]
    assert scores.argmax(1).tolist() == [0, 1, 2]


def test_data_without_texts_are_refused_with_what_helps():
    dataset = ring_dataset(users=5, items=9)
    bare = replace(dataset, titles=dataset.item_ids)
    with pytest.raises(InputError, match="items file with titles") as error:
        text_vectors(bare, 8)
    assert error.value.code == "no_item_texts"
    described = replace(bare, item_texts={"genre": pa.array(["a b", None, *["c"] * 7])})
    vectors = text_vectors(described, 8)
    assert not vectors[1].any()
    assert np.array_equal(vectors[2], vectors[3])


def test_word_vectors_are_made_on_one_thread_however_many_there_are(monkeypatch):
    threads: list[int] = []
    before = TruncatedSVD.fit_transform

    def counted(self, words):
        threads.extend(pool["num_threads"] for pool in threadpool_info())
        return before(self, words)

    monkeypatch.setattr(TruncatedSVD, "fit_transform", counted)
    with threadpool_limits(limits=2):
        assert 2 in {pool["num_threads"] for pool in threadpool_info()}
        text_vectors(dataset_of_genres(), 8)
    assert set(threads) == {1}
