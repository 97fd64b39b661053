import dataclasses

import numpy as np
import pytest

from dealrec.config.effort import EffortConfig
from dealrec.effort import parts as parts_module
from dealrec.effort.parts import EffortPart, merge_effort
from dealrec.effort.scoring import measure_effort, measure_shard
from dealrec.errors import Cancelled
from dealrec.progress import Silent
from tests.dealrec.language_models.test_batch_plan import tiny_plan
from tests.dealrec.language_models.tiny import tiny_loaded, tiny_samples
from tests.dealrec.test_checkpoints import FAILURE, Events

CONFIG = EffortConfig(batch_tokens=300)
SAMPLES = tiny_samples(40)


class StopAfter(Silent):
    """Cancels once ``samples`` are done, and remembers where it began."""

    def __init__(self, samples):
        self.samples = samples
        self.began: int | None = None

    def progress(self, done, total, unit):
        self.began = done if self.began is None else self.began
        if done >= self.samples:
            raise Cancelled("asked to stop")


def measure(plan, shard, **options):
    return measure_shard(tiny_loaded(), plan, shard, SAMPLES.__getitem__, CONFIG, **options)


@pytest.fixture(autouse=True)
def _checkpoint_every_batch(monkeypatch):
    monkeypatch.setattr(parts_module, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)


@pytest.mark.parametrize("count", [1, 3, 100])
def test_shards_measured_apart_and_merged_are_one_run_bit_for_bit(count, tmp_path):
    whole = measure_effort(tiny_loaded(), SAMPLES.__getitem__, 40, CONFIG)
    plan = tiny_plan()
    parts: list[EffortPart] = []
    for number, shard in enumerate(plan.shards(count)):
        measure(plan, shard).save(tmp_path / str(number))
        parts.insert(0, EffortPart.load(tmp_path / str(number)))
    merged = merge_effort(plan, parts)
    np.testing.assert_array_equal(merged.scores, whole.scores)
    np.testing.assert_array_equal(merged.tokens, whole.tokens)
    assert merged.diagnostics["shards"] == count


def test_parts_that_are_not_the_whole_plan_are_refused():
    plan = tiny_plan()
    first, second = (measure(plan, shard) for shard in plan.shards(2))
    for wrong in ([first], [second], [first, first, second], []):
        with pytest.raises(ValueError, match="every batch exactly once"):
            merge_effort(plan, wrong)
    foreign = dataclasses.replace(second, plan="another")
    with pytest.raises(ValueError, match="another plan"):
        merge_effort(plan, [first, foreign])
    other = dataclasses.replace(second, settings=second.settings | {"revision": "1"})
    with pytest.raises(ValueError, match="same model"):
        merge_effort(plan, [first, other])


def test_a_shard_that_was_cut_off_goes_on_after_its_finished_batches(tmp_path):
    plan = tiny_plan()
    shard = plan.shards(2)[1]
    undisturbed = measure(plan, shard)
    with pytest.raises(Cancelled):
        measure(plan, shard, reporter=StopAfter(10), checkpoint_dir=tmp_path)
    again = StopAfter(10**6)
    resumed = measure(plan, shard, reporter=again, checkpoint_dir=tmp_path)
    assert again.began is not None and again.began >= 10
    np.testing.assert_array_equal(resumed.scores, undisturbed.scores)


def test_a_checkpoint_of_something_else_is_not_resumed(tmp_path):
    plan = tiny_plan()
    first, second = plan.shards(2)
    with pytest.raises(Cancelled):
        measure(plan, first, reporter=StopAfter(5), checkpoint_dir=tmp_path)
    reporter = StopAfter(10**6)
    part = measure(plan, second, reporter=reporter, checkpoint_dir=tmp_path)
    assert reporter.began == 0
    np.testing.assert_array_equal(part.scores, measure(plan, second).scores)


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = tiny_plan()
    measure(plan, plan.whole())
    assert list(tmp_path.iterdir()) == []


def test_a_shard_whose_checkpoints_find_no_room_is_measured_all_the_same(full_disk):
    plan = tiny_plan()
    shard, events = plan.shards(1)[0], Events()
    found = measure(plan, shard, reporter=events, checkpoint_dir=full_disk.folder)
    np.testing.assert_array_equal(found.scores, measure(plan, shard).scores)
    assert events.seen == [FAILURE]
