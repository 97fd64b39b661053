"""What must hold on data of other kinds than sequences, whose structure is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dealrec.config import (
    DataOptions,
    EvaluationConfig,
    InfluenceConfig,
    PromptConfig,
    Sampling,
    SurrogateConfig,
)
from dealrec.config.runtime import Runtime
from dealrec.config.sample_data import SampleKind
from dealrec.data.ingest import ingest
from dealrec.data.regimes import successor, write_kind
from dealrec.data.samples import build_samples, held_out_samples
from dealrec.influence.scoring import score_influence
from dealrec.metrics.correlation import spearman
from dealrec.recommenders.held_out import held_out_users
from dealrec.surrogates.training import train_surrogate

ONE = Runtime(threads=1, device="cpu")


def made(folder, kind, *, users, items, **options):
    """A data set of the kind, with its report; the dense index of an item is its number."""
    write_kind(folder, SampleKind(kind), users=users, items=items)
    return ingest(
        folder / "interactions.csv",
        items=folder / "items.csv",
        options=DataOptions.parse(options, location="data"),
        out=folder / "out",
    )


def trained(dataset, model, **options):
    """A surrogate of all epochs: what is held out stops none."""
    dataset = dataset.restricted(dataset.splits == 0, sha256="training")
    config = SurrogateConfig.parse(
        {"model": model, "hidden_size": 16, "learning_rate": 0.01, "batch_tokens": 128, **options}
    )
    return train_surrogate(dataset, config, runtime=ONE)


@pytest.mark.parametrize("kind", SampleKind)
def test_the_same_arguments_give_the_same_bytes(tmp_path, kind):
    for name in ("a", "b"):
        write_kind(tmp_path / name, kind, users=20, items=40, seed=3)
    for file in ("interactions.csv", "items.csv"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    write_kind(tmp_path / "c", kind, users=20, items=40, seed=4)
    interactions = tmp_path / "c" / "interactions.csv"
    assert interactions.read_bytes() != (tmp_path / "a" / "interactions.csv").read_bytes()


def test_no_sample_of_sessions_has_a_history_of_another_visit(tmp_path):
    """Within a visit every item is followed by its successor; from one visit to the next nothing follows."""

    def share_of_successors(dataset):
        samples = build_samples(dataset, Sampling.PER_INTERACTION)
        last = samples.items[samples.target - 1]
        return np.mean([successor(a, 100) == b for a, b in zip(last, samples.targets, strict=True)])

    options = {"users": 40, "items": 100, "split": "leave_one_out"}
    cut = made(tmp_path / "cut", "sessions", session_minutes=60, **options)
    assert share_of_successors(cut.dataset) == 1
    whole = made(tmp_path / "whole", "sessions", **options)
    assert share_of_successors(whole.dataset) < 0.95
    assert cut.dataset.n_users > 2 * whole.dataset.n_users
    assert cut.counts["interactions"] == whole.counts["interactions"]


def test_the_influence_of_a_set_does_not_depend_on_the_order_in_which_it_was_written(tmp_path):
    dataset = made(tmp_path, "sets", users=60, items=60, split="leave_one_out").dataset
    rng, items = np.random.default_rng(0), dataset.items.copy()
    for a, b in zip(dataset.offsets[:-1], dataset.offsets[1:], strict=True):
        history = np.flatnonzero(dataset.splits[a:b] == 0)[:-1] + a  # the target stays
        items[history] = rng.permutation(items[history])
    other = replace(dataset, items=items)
    assert not np.array_equal(items, dataset.items)

    def agreement(model):
        config = {"dropout": 0, "loss": "full_softmax", "epochs": 3, "batch_tokens": 100_000}
        first, second = (
            score_influence(
                one,
                build_samples(one),
                trained(one, model, **config),
                InfluenceConfig(),
                runtime=ONE,
            ).scores
            for one in (dataset, other)
        )
        return spearman(first, second)

    assert agreement("lightgcn") > 0.999
    assert agreement("sasrec") < 0.99


def test_windows_learn_what_stands_early_in_long_sequences(tmp_path):
    """Successors stand in the first halves alone, which the last items of a sequence do not reach."""
    dataset = made(tmp_path, "long", users=20, items=60, split="leave_one_out").dataset

    def share_learned(**options):
        model = trained(dataset, "gru4rec", max_length=16, epochs=12, layers=1, **options)
        early = torch.arange(30)
        scores = model.model.scores(early[:, None], torch.ones(30, dtype=torch.int64))
        return np.mean([int(scores[i, :30].argmax()) == successor(i, 30) for i in range(30)])

    assert share_learned(windows=True) >= 0.7
    assert share_learned() < 0.3


def test_cold_items_are_ranked_by_their_words_and_by_nothing_else(tmp_path):
    """Vectors of their own say nothing of items that nobody has chosen, and it is counted."""
    dataset = made(tmp_path, "cold", users=150, items=100, split="global_time").dataset
    known = set(dataset.items[dataset.splits == 0].tolist())
    cold = np.array([item for item in range(90, 100) if item not in known])
    assert len(cold) == 10
    histories = torch.tensor([[genre, genre + 10, genre + 20] for genre in range(10)])

    def share_right(model):
        found = trained(dataset, model, epochs=15, content_size=16).model
        scores = found.scores(histories, torch.full((10,), 3))
        return float(np.mean(cold[scores[:, cold].argmax(1).numpy()] % 10 == np.arange(10)))

    assert share_right("content") >= 0.8
    assert share_right("sasrec") <= 0.4


def test_with_a_least_rating_nothing_that_was_disliked_is_an_answer_or_a_history(tmp_path):
    options = {"users": 40, "items": 60, "split": "leave_one_out"}
    every = made(tmp_path / "every", "ratings", ratings=True, **options)
    disliked = int((every.dataset.ratings < 4).sum())
    samples = build_samples(every.dataset)
    assert samples.ratings is not None
    assert (samples.ratings[samples.target] < 4).any()
    liked = made(tmp_path / "liked", "ratings", min_rating=4, ratings=True, **options)
    assert (liked.dataset.ratings >= 4).all()
    low = {
        (user, item)
        for user, item, rating in zip(
            every.dataset.users(), every.dataset.items, every.dataset.ratings, strict=True
        )
        if rating < 4
    }
    assert every.dataset.user_ids.equals(liked.dataset.user_ids)
    assert every.dataset.item_ids.equals(liked.dataset.item_ids)
    asked = held_out_users(liked.dataset, PromptConfig(), EvaluationConfig(candidates=5, seed=1))
    held_out = held_out_samples(liked.dataset, asked.split, 1000)
    assert held_out is not None
    for user, row in zip(held_out.users, asked.candidates, strict=True):
        assert (user, row[0]) not in low
        assert set(row[1:].tolist()) <= set(asked.candidates[:, 0].tolist())
    assert liked.report["removed"] == [
        {
            "filter": "min_rating",
            "rows": disliked,
            "message": f"{disliked} interactions with a rating below 4 were left out.",
        }
    ]
