"""Attention whose gradients are the same each time."""

from contextlib import contextmanager

import torch

from dealrec.config import EffortConfig
from dealrec.effort import gradients
from dealrec.effort.gradients import GradientMeter
from dealrec.runtime import repeatable_attention
from tests.dealrec.effort.reference import encoded
from tests.dealrec.language_models.tiny import tiny_loaded


def fused() -> tuple[bool, bool]:
    return torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.mem_efficient_sdp_enabled()


def test_on_a_gpu_no_fused_kernel_is_taken_inside_and_all_are_again_after():
    before = fused()
    assert before == (True, True)
    with repeatable_attention(torch.device("cuda")):
        assert fused() == (False, False)
        assert torch.backends.cuda.math_sdp_enabled()
    assert fused() == before


def test_a_cpu_keeps_its_kernels():
    with repeatable_attention(torch.device("cpu")):
        assert fused() == (True, True)


def test_effort_is_the_same_with_either():
    loaded = tiny_loaded()
    samples = encoded(loaded, 6)
    norms = GradientMeter(loaded, EffortConfig()).norms(samples)
    with repeatable_attention(torch.device("cuda")):
        again = GradientMeter(loaded, EffortConfig()).norms(samples)
    torch.testing.assert_close(again, norms, rtol=1e-4, atol=0)


def test_effort_asks_for_it_while_its_graph_is_built(monkeypatch):
    loaded, seen, inside = tiny_loaded(), [], []

    @contextmanager
    def asked(device):
        inside.append(device)
        yield
        inside.pop()

    monkeypatch.setattr(gradients, "repeatable_attention", asked)
    meter = GradientMeter(loaded, EffortConfig())
    for layer in loaded.model.model.layers:
        layer.self_attn.register_forward_hook(lambda *_: seen.append(list(inside)))
    meter.norms(encoded(loaded, 3))
    assert seen == [[torch.device("cpu")]] * len(loaded.model.model.layers)
