import numpy as np
import pytest
import torch

from dealrec.config.effort import EffortConfig
from dealrec.effort.scores import EffortScores
from dealrec.effort.scoring import measure_effort, measure_shard
from dealrec.errors import Cancelled, DealrecError
from dealrec.language_models.batch_plan import plan_batches
from dealrec.language_models.tokens import Encoder
from dealrec.metrics.correlation import spearman
from dealrec.progress import Silent
from tests.dealrec.language_models.tiny import tiny_loaded, tiny_samples


def test_scores_do_not_depend_on_the_order_of_samples_or_the_batches():
    loaded, samples = tiny_loaded(), tiny_samples(40)
    whole = measure_effort(loaded, samples.__getitem__, 40, EffortConfig())
    order = np.random.default_rng(0).permutation(40)
    shuffled = measure_effort(
        loaded, lambda i: samples[order[i]], 40, EffortConfig(batch_tokens=300)
    )
    np.testing.assert_allclose(shuffled.scores, whole.scores[order], rtol=1e-4)
    np.testing.assert_array_equal(shuffled.tokens, whole.tokens[order])
    assert shuffled.diagnostics["batches"] > whole.diagnostics["batches"]


def test_batches_in_pieces_give_the_same_scores_but_for_rounding():
    loaded, samples, config = tiny_loaded(), tiny_samples(40), EffortConfig()
    plan = plan_batches(
        Encoder(loaded.tokenizer, config.max_tokens), samples.__getitem__, 40, config
    )
    whole, halves, singly = (
        measure_shard(loaded, plan, plan.whole(), samples.__getitem__, config, pieces=pieces)
        for pieces in (1, 2, 64)
    )
    assert whole.diagnostics["replanned"] == 0
    assert halves.diagnostics["replanned"] == plan.batches
    np.testing.assert_allclose(halves.scores, whole.scores, rtol=2e-6)
    np.testing.assert_allclose(singly.scores, whole.scores, rtol=2e-6)


def test_the_same_run_gives_the_same_scores_and_survives_its_folder(tmp_path):
    loaded, samples = tiny_loaded(), tiny_samples(10)
    first, second = (
        measure_effort(loaded, samples.__getitem__, 10, EffortConfig()) for _ in range(2)
    )
    np.testing.assert_array_equal(first.scores, second.scores)
    first.save(tmp_path)
    back = EffortScores.load(tmp_path)
    np.testing.assert_array_equal(back.scores, first.scores)
    assert back.diagnostics == first.diagnostics


def test_a_score_that_is_not_finite_is_refused_with_its_sample():
    loaded = tiny_loaded()
    with torch.no_grad():
        loaded.model.model.norm.weight.fill_(float("inf"))
    with pytest.raises(DealrecError, match="user-") as refusal:
        measure_effort(
            loaded, tiny_samples(3).__getitem__, 3, EffortConfig(), lambda i: f"user-{i}"
        )
    assert refusal.value.code == "non_finite_score"


def test_a_cancelled_run_ends_between_batches():
    class Impatient(Silent):
        def progress(self, done, total, unit):
            assert (total, unit) == (12, "sample")
            if done > 3:
                raise Cancelled("asked to stop")

    with pytest.raises(Cancelled):
        measure_effort(
            tiny_loaded(),
            tiny_samples(12).__getitem__,
            12,
            EffortConfig(batch_tokens=256),
            reporter=Impatient(),
        )


def test_rank_correlation_shares_ranks_among_ties():
    assert spearman(np.array([1.0, 2.0, 3.0]), np.array([10, 20, 30])) == pytest.approx(1.0)
    assert spearman(np.array([1.0, 1.0, 2.0]), np.array([3, 2, 1])) == pytest.approx(-0.8660254)
    assert spearman(np.array([1.0, 1.0]), np.array([1, 2])) is None
