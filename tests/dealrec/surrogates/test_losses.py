"""Training losses against closed forms on a tiny catalogue."""

import itertools
import math

import numpy as np
import pytest
import torch

from dealrec.config import SurrogateConfig
from dealrec.surrogates.losses import (
    CalibratedCrossEntropy,
    SampledSoftmax,
    binary_cross_entropy,
    full_softmax,
)
from dealrec.surrogates.registry import make_surrogate

ITEMS = 6
FREQUENCIES = np.array([9, 0, 3, 1, 4, 2])
CPU = torch.device("cpu")


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = make_surrogate(ITEMS, SurrogateConfig(hidden_size=4, heads=1)).double().eval()
    made.get_parameter("item_embedding.weight").data[:ITEMS] = torch.randn(
        ITEMS, 4, dtype=torch.float64
    )
    return made


@pytest.fixture
def states():
    return torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


TARGETS = torch.tensor([0, 4, 2])


def scores(model, states):
    return (states @ model.item_vectors().T).tolist()


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_full_softmax_is_the_mean_negative_log_probability(model, states):
    each = [
        -math.log(math.exp(row[target]) / sum(map(math.exp, row)))
        for row, target in zip(scores(model, states), TARGETS.tolist(), strict=True)
    ]
    assert full_softmax(model, states, TARGETS).item() == pytest.approx(np.mean(each), rel=1e-12)


def test_the_logq_correction_makes_the_sum_over_negatives_right_on_average(model, states):
    """Over every possible draw of one and of two negatives, weighted by its probability."""
    for count in (1, 2):
        loss = SampledSoftmax(count, FREQUENCIES, CPU)
        loss.log_expected = loss.log_expected.double()
        q = (FREQUENCIES + 1) / (FREQUENCIES + 1).sum()
        for row, target in zip(states, TARGETS, strict=True):
            (own,) = scores(model, row[None])
            expected = 0.0
            for drawn in itertools.product(range(ITEMS), repeat=count):
                value = loss.against(torch.tensor(drawn), model, row[None], target[None]).item()
                partition = math.exp(value + own[target])  # the loss is log Z − s⁺
                expected += float(np.prod(q[list(drawn)])) * (partition - math.exp(own[target]))
            exact = sum(math.exp(s) for item, s in enumerate(own) if item != target)
            # float32 inside the loss's correction
            assert expected == pytest.approx(exact, rel=1e-6)


def test_negatives_of_the_sampled_softmax_are_drawn_by_popularity():
    loss = SampledSoftmax(1, FREQUENCIES, CPU)
    torch.manual_seed(0)
    points = torch.rand(60_000, dtype=torch.float64) * loss.cumulative[-1]
    drawn = np.bincount(torch.searchsorted(loss.cumulative, points).numpy(), minlength=ITEMS)
    expected = 60_000 * (FREQUENCIES + 1) / (FREQUENCIES + 1).sum()
    assert np.abs(drawn - expected).max() < 5 * math.sqrt(expected.max())


@pytest.mark.parametrize(("negatives", "t"), [(1, 0.75), (3, 0.75), (3, 0.0), (3, 1.0), (9, 0.5)])
def test_gbces_beta_is_the_papers(negatives, t):
    """β = α (t (1 − 1/α) + 1/α), equation 9 of arXiv 2308.07192, with α at most 1."""
    alpha = min(1.0, negatives / (ITEMS - 1))
    beta = CalibratedCrossEntropy(negatives, t, ITEMS).beta
    assert beta == pytest.approx(alpha * (t * (1 - 1 / alpha) + 1 / alpha), rel=1e-12)
    assert beta == pytest.approx(1 - t * (1 - alpha), rel=1e-12)


def test_gbce_is_its_formula_and_skips_the_target(model, states):
    loss = CalibratedCrossEntropy(3, 0.75, ITEMS)
    drawn = [1, 4, 3]
    each = []
    for row, target in zip(scores(model, states), TARGETS.tolist(), strict=True):
        value = loss.beta * math.log(sigmoid(row[target]))
        value += sum(math.log(1 - sigmoid(row[item])) for item in drawn if item != target)
        each.append(-value / 4)
    found = loss.against(torch.tensor(drawn), model, states, TARGETS).item()
    assert found == pytest.approx(np.mean(each), rel=1e-12)


def test_bce_has_one_uniform_negative_that_is_never_the_target(model):
    """Its mean over many draws is the mean over all other items, and its values are these alone."""
    state = torch.randn(1, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (own,) = scores(model, state)
    target = 2
    possible = [
        -math.log(sigmoid(own[target])) - math.log(1 - sigmoid(own[item]))
        for item in range(ITEMS)
        if item != target
    ]
    torch.manual_seed(0)
    found = [binary_cross_entropy(model, state, torch.tensor([target])).item() for _ in range(3000)]
    for value in found[:50]:
        assert min(abs(value - other) for other in possible) < 1e-12
    error = float(np.std(possible)) / math.sqrt(len(found))
    assert np.mean(found) == pytest.approx(np.mean(possible), abs=5 * error)
