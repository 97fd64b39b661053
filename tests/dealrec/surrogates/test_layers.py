import math

import pytest
import torch

from dealrec.surrogates.layers import Dropout


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_dropout_drops_at_its_rate_and_leaves_the_mean_as_it_is(rate):
    torch.manual_seed(0)
    count = 400_001  # not a multiple of four
    values = Dropout(rate).train()(torch.ones(count, dtype=torch.float64))
    error = math.sqrt(rate * (1 - rate) / count)
    assert (values == 0).double().mean().item() == pytest.approx(rate, abs=5 * error)
    assert values.mean().item() == pytest.approx(1, abs=5 * error / (1 - rate))
    assert len(values.unique()) == 2


def test_dropout_draws_neighbours_independently():
    torch.manual_seed(0)
    kept = (Dropout(0.5).train()(torch.ones(400_000)) > 0).double() - 0.5
    for distance in (1, 2, 3, 4):
        assert abs((kept[:-distance] * kept[distance:]).mean() * 4) < 5 / math.sqrt(len(kept))


def test_dropout_repeats_from_the_same_random_state_and_is_nothing_in_evaluation():
    values = torch.randn(7, 5)
    layer = Dropout(0.4).train()
    torch.manual_seed(3)
    first = layer(values)
    torch.manual_seed(3)
    assert torch.equal(layer(values), first)
    assert not torch.equal(layer(values), first)
    assert layer.eval()(values) is values
