"""Projected gradients: exact where they fit, unbiased where they do not."""

import pytest
import torch

from dealrec.config import EffortParameters, GradientsConfig
from dealrec.effort.gradients import GradientMeter
from dealrec.effort.parameters import lora_downs
from dealrec.gradients.projection import Sketch
from tests.dealrec.effort.reference import encoded
from tests.dealrec.language_models.tiny import tiny_loaded

P = EffortParameters


def one_by_one(loaded, samples, config):
    """[b, p] gradients by plain autograd, in the order of the meter's parts."""
    layer = loaded.model.model.layers[-1]
    attention = layer.self_attn
    weights = {
        P.V_PROJ: [attention.v_proj.weight],
        P.LORA_B: [attention.v_proj.weight],
        P.LORA: [attention.v_proj.weight, attention.q_proj.weight],
        P.LAST_BLOCK: list(layer.parameters()),
    }[config.parameters]
    for weight in weights:
        weight.requires_grad_()
    found = []
    for sample in samples:
        labels = torch.tensor([[-100] * sample.answer + sample.ids[sample.answer :]])
        loss = loaded.model(input_ids=torch.tensor([sample.ids]), labels=labels).loss
        gradients = torch.autograd.grad(loss, weights)
        if config.parameters in (P.LORA_B, P.LORA):
            downs = lora_downs(config, [weight.shape[1] for weight in weights])
            gradients = tuple(g @ down.T for g, down in zip(gradients, downs, strict=True))
        found.append(torch.cat([gradient.flatten() for gradient in gradients]))
    for weight in weights:
        weight.requires_grad_(requires_grad=False)
    return torch.stack(found)


@pytest.mark.parametrize("parameters", EffortParameters)
def test_a_gradient_that_fits_is_the_gradient_itself(parameters):
    loaded = tiny_loaded()
    samples = encoded(loaded, 5)
    config = GradientsConfig(parameters=parameters, dimension=10_000)
    meter = GradientMeter(loaded, config)
    found = meter.measure(samples, Sketch(config.dimension, 0))
    expected = one_by_one(loaded, samples, config)
    assert found.shape == expected.shape == (5, meter.numbers)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("parameters", [P.V_PROJ, P.LAST_BLOCK])
def test_projected_inner_products_are_the_gradients_own_on_average(parameters):
    loaded = tiny_loaded()
    samples = encoded(loaded, 6)
    config = GradientsConfig(parameters=parameters)
    whole = one_by_one(loaded, samples, config)
    expected = whole @ whole.T
    meter = GradientMeter(loaded, config)
    each = []
    for seed in range(300):
        short = meter.measure(samples, Sketch(20, seed))
        assert short.shape == (6, 20)
        each.append(short @ short.T)
    products = torch.stack(each)
    lengths = expected.diagonal().sqrt()
    scale = lengths[:, None] * lengths[None]
    # The standard deviation of one product is at most about sqrt(2 / 20) of the lengths.
    assert ((products.mean(0) - expected) / scale).abs().max() < 4 * (0.1 / 300) ** 0.5
    assert (products.std(0) / scale).max() < 0.4


def test_one_seed_is_one_projection_whatever_the_batches():
    loaded = tiny_loaded()
    samples = encoded(loaded, 6)
    meter = GradientMeter(loaded, GradientsConfig())
    together = meter.measure(samples, Sketch(16, 3))
    apart = torch.cat([meter.measure([sample], Sketch(16, 3)) for sample in samples])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(together, meter.measure(samples, Sketch(16, 4)))
