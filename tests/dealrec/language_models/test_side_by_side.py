"""Batches that several threads measure at a time, each on modules of its own."""

import time

import numpy as np
import pytest
import torch

from dealrec.config.effort import EffortConfig
from dealrec.config.runtime import Runtime
from dealrec.effort.scoring import measure_shard
from dealrec.errors import Cancelled
from dealrec.language_models.batch_plan import plan_batches
from dealrec.language_models.side_by_side import measured_batches, side_by_side
from dealrec.language_models.tokens import Encoder
from dealrec.progress import SILENT, Silent
from tests.dealrec.language_models.test_batch_plan import tiny_plan
from tests.dealrec.language_models.tiny import tiny_loaded, tiny_samples

CONFIG = EffortConfig(batch_tokens=300)
SAMPLES = tiny_samples(40)


@pytest.fixture(scope="module")
def loaded():
    return tiny_loaded()


def test_copies_share_parameters_and_no_modules(loaded):
    first, second = side_by_side(loaded, Runtime(threads=2), batches=9)
    assert first is loaded
    for own, other in zip(first.model.named_modules(), second.model.named_modules(), strict=True):
        assert own[0] == other[0]
        assert own[1] is not other[1]
    pointers = [[p.data_ptr() for p in one.model.parameters()] for one in (first, second)]
    assert pointers[0] == pointers[1]
    assert len(side_by_side(loaded, Runtime(threads=64), batches=3)) == 3
    assert len(side_by_side(loaded, Runtime(threads=64), batches=99)) == 8
    assert len(side_by_side(loaded, Runtime(threads=64), batches=99, pieces=2)) == 1


def test_norms_do_not_depend_on_the_number_of_threads(loaded):
    plan, before = tiny_plan(), torch.get_num_threads()
    torch.set_num_threads(1)
    alone, together = (
        measure_shard(
            loaded,
            plan,
            plan.whole(),
            SAMPLES.__getitem__,
            CONFIG,
            runtime=Runtime(threads=threads),
        )
        for threads in (1, 3)
    )
    torch.set_num_threads(before)
    assert plan.batches > 3
    np.testing.assert_array_equal(together.scores, alone.scores)


def measured(loaded, measures, reporter=SILENT):
    encoder = Encoder.for_model(loaded, 512)
    plan = plan_batches(encoder, SAMPLES.__getitem__, len(SAMPLES), CONFIG)
    found = measured_batches(
        plan, plan.whole(), 0, encoder, SAMPLES.__getitem__, measures, reporter
    )
    return plan, found


def test_results_come_in_order_and_progress_after_them(loaded):
    done = []

    class Kept(Silent):
        def progress(self, at, total, unit):
            done.append(at)

    def slow_at_first(samples):
        time.sleep(0.02 if len(done) < 2 else 0)
        return torch.tensor([float(len(sample)) for sample in samples])

    plan, found = measured(loaded, [slow_at_first] * 3, Kept())
    for number, (batch, lengths) in enumerate(found):
        assert batch.number == number == len(done) - 1
        assert lengths.tolist() == [len(sample) for sample in batch.samples]
    assert done == plan.bounds.tolist()


def test_an_error_or_a_cancellation_ends_all_threads(loaded):
    def broken(samples):
        raise ValueError("a batch that cannot be measured")

    with pytest.raises(ValueError, match="cannot be measured"):
        list(measured(loaded, [broken] * 2)[1])

    class Stop(Silent):
        def progress(self, at, total, unit):
            if at:
                raise Cancelled("asked to stop")

    seen = []
    with pytest.raises(Cancelled):
        for batch, _ in measured(loaded, [lambda s: torch.zeros(len(s))] * 2, Stop())[1]:
            seen.append(batch.number)
    assert seen == [0]
