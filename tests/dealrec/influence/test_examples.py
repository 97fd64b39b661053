import numpy as np
import pytest
import torch

from dealrec.config import SampleLoss, Sampling
from dealrec.data.samples import build_samples
from dealrec.influence.examples import BATCH_TOKENS, Examples
from tests.dealrec.surrogates.data import ring_dataset

DATASET = ring_dataset(users=40, items=25)
CPU = torch.device("cpu")


@pytest.fixture(params=list(SampleLoss))
def examples(request):
    samples = build_samples(DATASET, Sampling.PER_INTERACTION)
    return Examples.of_samples(samples, DATASET.n_items, 6, request.param)


def test_the_validation_risk_asks_for_each_users_first_validation_item_after_training():
    examples = Examples.of_validation(DATASET, 6, SampleLoss.LAST)
    offsets, items = DATASET.subsequences((0,))
    valid_offsets, valid_items = DATASET.subsequences((1,))
    assert len(examples) == DATASET.n_users
    for user in range(DATASET.n_users):
        history = examples.items[examples.starts[user] : examples.ends[user]]
        assert history.tolist() == items[offsets[user] : offsets[user + 1]][-6:].tolist()
        assert examples.items[examples.ends[user]] == valid_items[valid_offsets[user]]


def test_batches_hold_every_example_once_and_each_weighs_one(examples):
    seen = []
    for batch in examples.batches(torch.float64, CPU, columns=1 << 19):
        seen += batch.index.tolist()
        assert (batch.weights > 0).sum() <= 16 or len(batch.index) == 1
        assert batch.sequences.numel() <= BATCH_TOKENS
        torch.testing.assert_close(batch.weights.sum(1), torch.ones(len(batch.index)).double())
        for row, index in enumerate(batch.index.tolist()):
            start, end = examples.starts[index], examples.ends[index]
            length = end - start
            assert batch.sequences[row, :length].tolist() == examples.items[start:end].tolist()
            assert batch.targets[row, length - 1] == examples.items[end]
            assert not batch.weights[row, length:].any()
    assert sorted(seen) == list(range(len(examples)))


@pytest.mark.parametrize("tokens", [1, 30, 10**6])
def test_curvature_examples_are_spread_over_all_and_keep_to_the_tokens(examples, tokens):
    found = examples.evenly(tokens)
    assert 1 <= len(found) <= len(examples)
    if tokens >= examples.tokens.sum():
        assert len(found) == len(examples)
    else:
        gaps = np.diff(np.flatnonzero(np.isin(examples.ends, found.ends)))
        assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
        assert len(found) <= max(1, tokens)


def test_parts_are_disjoint_and_together_all(examples):
    parts = examples.parts(3)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    ends = np.concatenate([part.ends for part in parts])
    assert np.array_equal(np.sort(ends), np.sort(examples.ends))
    assert [len(part) for part in examples.take(np.arange(2)).parts(5)] == [1, 1]
