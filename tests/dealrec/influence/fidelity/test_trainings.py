import numpy as np
import pytest

from dealrec.config import SampleLoss, SurrogateConfig
from dealrec.influence.examples import Examples
from dealrec.influence.fidelity.halves import random_halves
from dealrec.influence.fidelity.trainings import TrainingPlan, run_trainings
from dealrec.progress import Silent
from tests.dealrec.surrogates.data import ring_dataset

DATASET = ring_dataset(users=40, items=25)
CONFIG = SurrogateConfig(
    hidden_size=8, max_length=6, negatives=20, batch_tokens=64, epochs=2, learning_rate=0.01
)


@pytest.fixture
def plan():
    members = random_halves(np.arange(40), 40, 2, seed=0)
    queries = Examples.of_validation(DATASET, 6, SampleLoss.LAST)
    return TrainingPlan(DATASET, CONFIG, members, seeds=2, surrogates=1, queries=(queries,))


class StopsAt(Silent):
    def __init__(self, at):
        self.at = at

    def progress(self, done, total, unit):
        assert (total, unit) == (5, "training")
        if done == self.at:
            raise KeyboardInterrupt


def test_an_interrupted_run_goes_on_with_what_is_finished(plan, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_trainings(plan, tmp_path / "a", 1, StopsAt(3))
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*.npz")}
    assert len(finished) == 2
    resumed = run_trainings(plan, tmp_path / "a", 1, Silent())
    assert all(path.stat().st_mtime_ns == at for path, at in finished.items())
    undisturbed = run_trainings(plan, tmp_path / "b", 1, Silent())
    np.testing.assert_array_equal(resumed.losses[0], undisturbed.losses[0])
    assert resumed.losses[0].shape == (2, 2, len(plan.queries[0]))


def test_halves_and_seeds_measure_different_losses(plan, tmp_path):
    losses = run_trainings(plan, tmp_path, 1, Silent()).losses[0]
    flat = losses.reshape(4, -1)
    assert len({row.tobytes() for row in flat}) == 4
    assert np.isfinite(flat).all()
