import pytest
import torch

from dealrec.config.effort import EffortConfig, EffortParameters, LossSpan, Reduction
from dealrec.effort.gradients import GradientMeter
from dealrec.language_models import load_language_model
from tests.dealrec.effort.reference import encoded, one_by_one
from tests.dealrec.language_models.tiny import tiny_loaded


@pytest.mark.parametrize("width", [16, 256])  # narrow: dense gradients; wide: Gram matrices
@pytest.mark.parametrize("loss_on", LossSpan)
@pytest.mark.parametrize("reduction", Reduction)
@pytest.mark.parametrize("parameters", EffortParameters)
def test_a_batch_gives_the_norms_of_one_by_one_autograd(parameters, reduction, loss_on, width):
    loaded = tiny_loaded(width)
    config = EffortConfig(parameters=parameters, reduction=reduction, loss_on=loss_on)
    samples = encoded(loaded, 6)
    assert len({len(sample) for sample in samples}) > 3
    norms = GradientMeter(loaded, config).norms(samples)
    torch.testing.assert_close(norms, one_by_one(loaded, samples, config), rtol=1e-4, atol=0)


@pytest.mark.parametrize("loss_on", LossSpan)
@pytest.mark.parametrize("parameters", EffortParameters)
def test_a_reused_prefix_changes_no_norm(parameters, loss_on):
    loaded = tiny_loaded()
    config = EffortConfig(parameters=parameters, loss_on=loss_on)
    samples = encoded(loaded, 6)
    meter = GradientMeter(loaded, config, samples[0].ids[:19], max(map(len, samples)))
    assert (meter.prefix_tokens, meter.prefix_reuse) == (19, "exact")
    norms = meter.norms(samples)
    torch.testing.assert_close(norms, one_by_one(loaded, samples, config), rtol=1e-4, atol=0)


def test_the_prefix_runs_through_the_layers_below_the_last_only_once():
    loaded = tiny_loaded()
    samples = encoded(loaded, 6)
    longest = max(map(len, samples))
    meter = GradientMeter(loaded, EffortConfig(), samples[0].ids[:19], longest)
    seen = []
    for layer in loaded.model.model.layers:
        layer.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0].shape[1]))
    meter.norms(samples)
    assert seen == [longest - 19, longest - 19, longest]
    assert len(loaded.model.model.layers) == 3


class _SmallMemory(GradientMeter):
    """As on an accelerator that holds two samples."""

    def _measurements(self, samples):
        if len(samples) > 2:
            raise torch.OutOfMemoryError
        return super()._measurements(samples)


def test_a_batch_that_memory_does_not_hold_is_measured_in_halves():
    loaded = tiny_loaded()
    samples = encoded(loaded, 7)
    meter = _SmallMemory(loaded, EffortConfig())
    norms = meter.norms(samples)
    assert meter.halvings == 3  # 7 = 4 + 3 = 2 + 2 + 2 + 1
    torch.testing.assert_close(norms, GradientMeter(loaded, EffortConfig()).norms(samples))


def test_only_the_last_layer_keeps_a_graph():
    loaded = tiny_loaded()
    with_grad = []
    for layer in loaded.model.model.layers:
        layer.register_forward_hook(lambda _m, _i, output: with_grad.append(output.requires_grad))
    meter = GradientMeter(loaded, EffortConfig())
    with_grad.clear()
    meter.norms(encoded(loaded, 2))
    assert with_grad == [False, False, True]
    assert torch.is_grad_enabled()


@pytest.mark.model
@pytest.mark.parametrize("parameters", EffortParameters)
def test_a_batch_gives_the_norms_of_one_by_one_autograd_on_smollm2(parameters):
    loaded = load_language_model("smollm2-135m", dtype="float32", device="cpu")
    config = EffortConfig(parameters=parameters)
    samples = encoded(loaded, 4)
    meter = GradientMeter(loaded, config, samples[0].ids[:5], max(map(len, samples)))
    assert meter.prefix_tokens == 5
    norms = meter.norms(samples)
    torch.testing.assert_close(norms, one_by_one(loaded, samples, config), rtol=1e-4, atol=0)
