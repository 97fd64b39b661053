import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dealrec.config import PromptConfig, Sampling
from dealrec.config.effort import EffortConfig, shard_count
from dealrec.data.ingest import ingest
from dealrec.data.samples import build_samples
from dealrec.data.synthetic import write_sample_data
from dealrec.language_models.batch_plan import BatchPlan, Shard, plan_batches, plan_samples
from dealrec.language_models.tokens import Encoder
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model, tiny_samples

ENCODER = Encoder(byte_tokenizer(), 512)


def tiny_plan(count=40, candidates=None, **options):
    samples = tiny_samples(count)
    config = EffortConfig(**{"batch_tokens": 300, **options})
    return plan_batches(ENCODER, samples.__getitem__, count, config, candidates=candidates)


def _assert_same(first, second):
    for name in ("order", "bounds", "tokens", "answer_tokens"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    for name in ("count", "prefix", "fingerprint"):
        assert getattr(first, name) == getattr(second, name)


def test_every_sample_is_in_one_batch_with_its_own_lengths():
    plan = tiny_plan()
    encoded = ENCODER.encode(tiny_samples(40))
    assert sorted(plan.order.tolist()) == list(range(40))
    assert [i for j in range(plan.batches) for i in plan.batch(j)] == plan.order.tolist()
    assert plan.tokens.tolist() == [len(encoded[i]) for i in plan.order]
    assert plan.answer_tokens.tolist() == [len(encoded[i]) - encoded[i].answer for i in plan.order]


def test_the_prefix_is_what_all_prompts_begin_with():
    plan = tiny_plan()
    assert byte_tokenizer().decode(list(plan.prefix)) == "Name the next one.\n"


def test_a_single_sample_keeps_a_token_behind_its_prefix():
    plan = tiny_plan(1)
    (encoded,) = ENCODER.encode(tiny_samples(1))
    assert list(plan.prefix) == encoded.ids[: encoded.answer]
    assert len(plan.prefix) < plan.tokens[0]


def test_the_same_data_and_configuration_give_the_same_plan_and_others_another(tmp_path):
    plan = tiny_plan()
    plan.save(tmp_path)
    _assert_same(BatchPlan.load(tmp_path), plan)
    _assert_same(tiny_plan(shard_samples=3), plan)
    others = [tiny_plan(39), tiny_plan(reduction="sum"), tiny_plan(batch_tokens=301)]
    assert len({plan.fingerprint, *(other.fingerprint for other in others)}) == 4


def test_of_candidates_alone_the_plan_holds_these():
    chosen = np.array([3, 5, 20])
    plan = tiny_plan(candidates=chosen)
    assert sorted(plan.order.tolist()) == chosen.tolist()
    assert plan.count == 40


@given(st.integers(1, 60), st.integers(1, 80))
def test_shards_cover_every_batch_once_in_order(samples, count):
    plan = tiny_plan(samples)
    shards = plan.shards(count)
    assert len(shards) == count
    assert [b for shard in shards for b in range(shard.first, shard.last)] == list(
        range(plan.batches)
    )


def test_shards_take_about_equally_many_tokens():
    plan = tiny_plan(400)
    tokens = [
        plan.tokens[plan.bounds[shard.first] : plan.bounds[shard.last]].sum()
        for shard in plan.shards(5)
    ]
    assert max(tokens) < 1.2 * min(tokens)
    assert plan.shards(1) == [plan.whole()] == [Shard(0, plan.batches)]


@pytest.mark.parametrize(("samples", "shards"), [(0, 1), (1, 1), (100, 1), (101, 2), (1000, 10)])
def test_the_number_of_shards_follows_from_the_number_of_samples(samples, shards):
    assert shard_count(samples, EffortConfig(shard_samples=100)) == shards


def test_a_plan_of_a_data_set_needs_no_weights(tmp_path):
    write_sample_data(tmp_path, users=60, items=30)
    dataset = ingest(
        tmp_path / "interactions.csv", items=tmp_path / "items.csv", out=tmp_path / "dataset"
    ).dataset
    model = tmp_path / "model"
    tiny_model().config.save_pretrained(model)
    byte_tokenizer().save_pretrained(model)
    samples = build_samples(dataset, Sampling.PER_USER, 1)
    config = EffortConfig(model=str(model))
    plan = plan_samples(dataset, samples, PromptConfig(item_noun="film"), config)
    assert plan.count == len(samples) == len(plan.order)
    assert "Name the film" in byte_tokenizer().decode(list(plan.prefix))
    other = plan_samples(dataset, samples, PromptConfig(item_noun="book"), config)
    assert other.fingerprint != plan.fingerprint
