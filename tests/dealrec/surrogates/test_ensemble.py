import numpy as np
import pytest
import torch

from dealrec.config import SurrogateConfig
from dealrec.config.runtime import Runtime
from dealrec.progress import Silent
from dealrec.surrogates.ensemble import load_ensemble, train_ensemble
from dealrec.surrogates.training import train_surrogate
from tests.dealrec.surrogates.data import ring_dataset

ONE = Runtime(threads=1, device="cpu")
DATASET = ring_dataset(users=40, items=25)
CONFIG = SurrogateConfig(
    hidden_size=8, max_length=6, negatives=20, batch_tokens=64, epochs=3, ensemble=3, seed=5
)


@pytest.fixture(scope="module")
def ensemble():
    return train_ensemble(DATASET, CONFIG, runtime=ONE)


def test_members_are_the_surrogates_of_consecutive_seeds(ensemble):
    assert [member.config.seed for member in ensemble.members] == [5, 6, 7]
    alone = train_surrogate(
        DATASET, CONFIG.model_copy(update={"seed": 6, "ensemble": 1}), runtime=ONE
    )
    second = ensemble.members[1].model.state_dict()
    assert all(torch.equal(second[n], v) for n, v in alone.model.state_dict().items())
    recalls = [member.metrics["test_recall@20"] for member in ensemble.members]
    assert ensemble.metrics["test_recall@20"] == pytest.approx(np.mean(recalls))


def test_it_is_read_as_it_was_written(ensemble, tmp_path):
    ensemble.save(tmp_path)
    found = load_ensemble(tmp_path)
    assert len(found.members) == 3
    assert found.metrics == ensemble.metrics
    for one, other in zip(found.members, ensemble.members, strict=True):
        expected = other.model.state_dict()
        assert all(torch.equal(expected[n], v) for n, v in one.model.state_dict().items())


class Killed(Exception):
    pass


class KilledAt(Silent):
    """Stops the training in the middle of the second member."""

    def __init__(self, at):
        self.at, self.seen = at, []

    def progress(self, done, total, unit):
        self.seen.append((done, total))
        if done >= self.at:
            raise Killed


def test_a_killed_training_goes_on_where_it_was(ensemble, tmp_path):
    with pytest.raises(Killed):
        train_ensemble(DATASET, CONFIG, checkpoint_dir=tmp_path, runtime=ONE, reporter=KilledAt(5))
    watched = KilledAt(100)
    again = train_ensemble(DATASET, CONFIG, checkpoint_dir=tmp_path, runtime=ONE, reporter=watched)
    assert watched.seen[-1] == (9, 9)
    assert [done for done, _ in watched.seen] == sorted(done for done, _ in watched.seen)
    for one, other in zip(again.members, ensemble.members, strict=True):
        expected = other.model.state_dict()
        assert all(torch.equal(expected[n], v) for n, v in one.model.state_dict().items())
