from itertools import pairwise

import numpy as np
import pytest
import torch

from dealrec.config import Split, SurrogateConfig, SurrogateLoss
from dealrec.config.runtime import Runtime
from dealrec.config.surrogate import SURROGATES
from dealrec.data.ingest import ingest
from dealrec.data.synthetic import write_sample_data
from dealrec.errors import Cancelled, InputError
from dealrec.metrics.ranking import build_questions, evaluate_ranking
from dealrec.progress import Silent
from dealrec.surrogates.batches import TrainingSequences, bucketed_batches
from dealrec.surrogates.interface import softmax_losses
from dealrec.surrogates.registry import make_surrogate
from dealrec.surrogates.storage import load_surrogate
from dealrec.surrogates.training import train_surrogate
from tests.dealrec.surrogates.data import popularity_baseline, ring_dataset

SMALL = SurrogateConfig(
    hidden_size=16, max_length=8, negatives=20, batch_tokens=64, epochs=5, dropout=0.1
)
RNG = np.random.default_rng(0)
ONE = Runtime(threads=1, device="cpu")


class Recorder(Silent):
    def __init__(self, stop_after=None):
        self.events, self.metrics, self.seen, self.stop_after = [], {}, [], stop_after

    def progress(self, done, total, unit):
        self.seen.append((done, total, unit))
        if self.stop_after is not None and len(self.seen) > self.stop_after:
            raise Cancelled("stop")

    def metric(self, name, value):
        self.metrics.setdefault(name, []).append(value)

    def event(self, kind, **data):
        self.events.append((kind, data))


def ranking(surrogate, dataset, split):
    return evaluate_ranking(
        surrogate.model.scores,
        build_questions(dataset, split),
        n_items=dataset.n_items,
        max_length=surrogate.config.max_length,
    ).values


def test_the_same_seed_gives_the_same_parameters_bit_for_bit_and_another_seed_others():
    dataset = ring_dataset()
    first, second = (train_surrogate(dataset, SMALL, runtime=ONE) for _ in range(2))
    other = train_surrogate(dataset, SMALL.model_copy(update={"seed": 1}), runtime=ONE)
    for name, value in first.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name])
    assert first.history == second.history
    assert not torch.equal(first.model.item_vectors(), other.model.item_vectors())


def test_training_leaves_the_callers_random_state_alone():
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    train_surrogate(ring_dataset(), SMALL.model_copy(update={"epochs": 1}), runtime=ONE)
    assert torch.equal(torch.rand(3), expected)


def test_early_stopping_keeps_the_best_checkpoint_not_the_last():
    dataset = ring_dataset()
    config = SMALL.model_copy(update={"epochs": 60, "patience": 2, "learning_rate": 0.03})
    reporter = Recorder()
    trained = train_surrogate(dataset, config, runtime=ONE, reporter=reporter)
    course = [row["valid_ndcg@10"] for row in trained.history]
    best = int(np.argmax(course))
    assert len(course) < 60
    assert len(course) == best + 1 + config.patience
    assert trained.metrics["best_epoch"] == best + 1
    assert trained.metrics["valid_ndcg@10"] == max(course)
    assert ranking(trained, dataset, Split.VALID)["ndcg@10"] == pytest.approx(max(course), abs=1e-9)
    assert reporter.events[-1] == (
        "early_stopping",
        {"epoch": len(course), "best_epoch": best + 1},
    )
    assert reporter.metrics["valid_ndcg@10"] == course


def test_without_a_validation_split_all_epochs_are_trained_and_it_says_so():
    reporter = Recorder()
    trained = train_surrogate(ring_dataset(valid=False), SMALL, runtime=ONE, reporter=reporter)
    assert trained.metrics["epochs"] == trained.metrics["best_epoch"] == 5
    assert not any(name.startswith("valid_") for name in trained.metrics)
    assert "test_recall@20" in trained.metrics
    assert ("no_validation_split", {"epochs": 5}) in reporter.events
    assert reporter.seen[-1][1:] == (5, "epoch")


@pytest.mark.parametrize("model", SURROGATES)
def test_a_training_that_was_interrupted_ends_as_one_that_never_stopped(model, tmp_path):
    dataset, config = ring_dataset(), SMALL.model_copy(update={"model": model})
    whole = train_surrogate(dataset, config, runtime=ONE)
    batches = len(bucketed_batches(TrainingSequences.of(dataset, 8).positions, 64, RNG))
    for ticks in (batches + 5, 2 * batches):  # within the second epoch, then within a later one
        with pytest.raises(Cancelled):
            train_surrogate(
                dataset, config, checkpoint_dir=tmp_path, runtime=ONE, reporter=Recorder(ticks)
            )
    again = train_surrogate(dataset, config, checkpoint_dir=tmp_path, runtime=ONE)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name])
    assert again.history == whole.history
    without_time = {name for name in whole.metrics if name != "seconds"}
    assert all(again.metrics[name] == whole.metrics[name] for name in without_time)


def test_a_checkpoint_of_another_training_is_not_taken_up(tmp_path):
    train_surrogate(ring_dataset(), SMALL, checkpoint_dir=tmp_path, runtime=ONE)
    other = SMALL.model_copy(update={"learning_rate": 0.002})
    found = train_surrogate(ring_dataset(), other, checkpoint_dir=tmp_path, runtime=ONE)
    assert found.history == train_surrogate(ring_dataset(), other, runtime=ONE).history


def test_a_finished_training_is_taken_up_as_it_ended(tmp_path):
    reporter = Recorder()
    first = train_surrogate(ring_dataset(), SMALL, checkpoint_dir=tmp_path, runtime=ONE)
    again = train_surrogate(
        ring_dataset(), SMALL, checkpoint_dir=tmp_path, runtime=ONE, reporter=reporter
    )
    assert again.history == first.history
    assert "loss" not in reporter.metrics  # nothing was trained


def test_a_cancel_is_heard_between_batches():
    with pytest.raises(Cancelled):
        train_surrogate(ring_dataset(), SMALL, runtime=ONE, reporter=Recorder(stop_after=3))


@pytest.mark.parametrize(
    ("model", "loss"),
    [("sasrec", loss) for loss in SurrogateLoss]
    + [("bert4rec", SurrogateLoss.FULL_SOFTMAX), ("gru4rec", SurrogateLoss.FULL_SOFTMAX)],
)
def test_it_beats_popularity_on_sequences_with_structure(model, loss):
    dataset = ring_dataset(users=200)
    config = SMALL.model_copy(
        update={
            "model": model,
            "loss": loss,
            "epochs": 40,
            "patience": 40,
            "learning_rate": 0.005,
        }
    )
    trained = train_surrogate(dataset, config, runtime=ONE)
    baseline = popularity_baseline(dataset, max_length=8)
    assert trained.metrics["test_ndcg@10"] > 1.5 * baseline["ndcg@10"]


def test_a_stored_surrogate_is_the_same_when_it_is_loaded(tmp_path):
    trained = train_surrogate(ring_dataset(), SMALL, runtime=ONE)
    trained.save(tmp_path)
    loaded = load_surrogate(tmp_path)
    assert (loaded.config, loaded.metrics, loaded.history) == (
        trained.config,
        trained.metrics,
        trained.history,
    )
    sequences, lengths = torch.tensor([[1, 2, 3]]), torch.tensor([3])
    assert torch.equal(
        loaded.model.scores(sequences, lengths), trained.model.scores(sequences, lengths)
    )
    assert not loaded.model.training


def test_bucketed_batches_hold_every_training_item_once_and_give_the_padded_loss():
    dataset = ring_dataset()
    sequences = TrainingSequences.of(dataset, 8)
    assert sequences.positions.sum() == sum(
        min(max(0, n - 1), 8) for n in np.diff(dataset.subsequences((0,))[0])
    )
    torch.manual_seed(0)
    model = make_surrogate(dataset.n_items, SMALL).double().eval()

    def total(batches):
        value = torch.zeros((), dtype=torch.float64)
        for batch in batches:
            states, targets, _ = model.training_states(sequences.batch(batch))
            value += softmax_losses(states, model.item_vectors(), targets).sum()
        return value

    everything = np.arange(len(sequences.positions))
    buckets = list(bucketed_batches(sequences.positions, 40, np.random.default_rng(0)))
    assert sorted(np.concatenate(buckets)) == everything.tolist()
    widths = [len(b) * sequences.positions[b].max() for b in buckets]
    assert max(widths) <= 40
    assert sum(widths) < 1.1 * sequences.positions.sum()
    torch.testing.assert_close(total(buckets), total([everything]), rtol=1e-12, atol=0)


@pytest.mark.parametrize("max_length", [2, 3, 8, 50])
def test_windows_make_every_item_but_a_users_first_a_target_once(max_length):
    dataset = ring_dataset(users=30)
    offsets, items = dataset.subsequences((0,))
    found = TrainingSequences.of(dataset, max_length, windows=True)
    cuts = list(zip(found.starts, found.ends, strict=True))
    places = [place for a, b in cuts for place in range(a + 1, b)]
    assert sorted(places) == [p for a, b in pairwise(offsets) for p in range(a + 1, b)]
    assert int((found.ends - found.starts).max()) <= max_length + 1
    last = TrainingSequences.of(dataset, max_length)
    assert set(zip(last.starts, last.ends, strict=True)) <= set(cuts)
    assert np.array_equal(found.items, items)


def test_items_that_training_does_not_reach_are_told():
    dataset, reporter = ring_dataset(), Recorder()
    config = SMALL.model_copy(update={"max_length": 3, "epochs": 1})
    train_surrogate(dataset, config, runtime=ONE, reporter=reporter)
    lengths = np.diff(dataset.subsequences((0,))[0])
    told = dict(reporter.events)["long_sequences_cut"]
    assert told["items"] == np.maximum(lengths - 4, 0).sum() > 0
    assert told["users"] == (lengths > 4).sum()
    reporter = Recorder()
    windows = config.model_copy(update={"windows": True})
    train_surrogate(dataset, windows, runtime=ONE, reporter=reporter)
    assert "long_sequences_cut" not in dict(reporter.events)


def test_no_user_with_two_training_items_is_bad_input():
    dataset = ring_dataset(users=1, test=False, valid=False)
    lonely = type(dataset)(**{**vars(dataset), "splits": np.array([0, 1], dtype=np.int8)})
    with pytest.raises(InputError) as error:
        train_surrogate(lonely, SMALL, runtime=ONE)
    assert error.value.code == "no_training_sequences"


def test_the_defaults_beat_popularity_on_the_sample_data(tmp_path):
    write_sample_data(tmp_path)
    interactions = tmp_path / "interactions.csv"
    dataset = ingest(interactions, items=tmp_path / "items.csv", out=tmp_path / "out").dataset
    trained = train_surrogate(dataset, SurrogateConfig(), runtime=ONE)
    baseline = popularity_baseline(dataset)
    assert trained.metrics["test_ndcg@10"] > 1.5 * baseline["ndcg@10"]
    assert trained.metrics["test_recall@20"] > 1.5 * baseline["recall@20"]


def test_a_training_whose_checkpoints_find_no_room_ends_as_one_that_keeps_none(full_disk):
    reporter = Recorder()
    kept = train_surrogate(
        ring_dataset(), SMALL, checkpoint_dir=full_disk.folder, runtime=ONE, reporter=reporter
    )
    assert kept.history == train_surrogate(ring_dataset(), SMALL, runtime=ONE).history
    assert [kind for kind, _ in reporter.events].count("checkpoint_not_written") == 1


def test_a_validation_split_of_newcomers_alone_is_none(tmp_path):
    rows = [f"old{u},i{i},{u * 10 + i},train" for u in range(8) for i in range(4)]
    rows += [f"new{u},i{u},{1000 + u},{split}" for u in range(3) for split in ("valid", "test")]
    file = tmp_path / "a.csv"
    file.write_text("\n".join(["user_id,item_id,timestamp,split", *rows]) + "\n")
    dataset = ingest(file, out=tmp_path / "out").dataset
    assert dataset.has(Split.VALID) and not dataset.users_asked(Split.VALID)
    trained = train_surrogate(dataset, SurrogateConfig(epochs=2, hidden_size=8))
    assert trained.metrics["epochs"] == 2
    assert not any(name.startswith("valid_") for name in trained.metrics)
