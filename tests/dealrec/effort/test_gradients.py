import pytest
import torch

from dealrec.config.effort import EffortConfig, EffortParameters, LossSpan, Reduction
from dealrec.effort.gradients import EffortMeter
from dealrec.effort.norms import gradient_norms
from dealrec.effort.parameters import NormWeights, lora_downs
from dealrec.errors import InputError
from dealrec.language_models import load_language_model
from dealrec.language_models.adapters import with_adapter
from dealrec.language_models.tokens import Encoder
from tests.dealrec.effort.reference import one_by_one
from tests.dealrec.language_models.tiny import tiny_loaded, tiny_samples


def _encoded(loaded, count):
    return Encoder(loaded.tokenizer, 512).encode(tiny_samples(count))


@pytest.mark.parametrize("width", [16, 256])  # narrow: dense gradients; wide: Gram matrices
@pytest.mark.parametrize("loss_on", LossSpan)
@pytest.mark.parametrize("reduction", Reduction)
@pytest.mark.parametrize("parameters", EffortParameters)
def test_a_batch_gives_the_norms_of_one_by_one_autograd(parameters, reduction, loss_on, width):
    loaded = tiny_loaded(width)
    config = EffortConfig(parameters=parameters, reduction=reduction, loss_on=loss_on)
    samples = _encoded(loaded, 6)
    assert len({len(sample) for sample in samples}) > 3
    norms = EffortMeter(loaded, config).norms(samples)
    torch.testing.assert_close(norms, one_by_one(loaded, samples, config), rtol=1e-4, atol=0)


@pytest.mark.parametrize("loss_on", LossSpan)
@pytest.mark.parametrize("parameters", EffortParameters)
def test_a_reused_prefix_changes_no_norm(parameters, loss_on):
    loaded = tiny_loaded()
    config = EffortConfig(parameters=parameters, loss_on=loss_on)
    samples = _encoded(loaded, 6)
    meter = EffortMeter(loaded, config, samples[0].ids[:19], max(map(len, samples)))
    assert (meter.prefix_tokens, meter.prefix_reuse) == (19, "exact")
    norms = meter.norms(samples)
    torch.testing.assert_close(norms, one_by_one(loaded, samples, config), rtol=1e-4, atol=0)


def test_the_prefix_runs_through_the_layers_below_the_last_only_once():
    loaded = tiny_loaded()
    samples = _encoded(loaded, 6)
    longest = max(map(len, samples))
    meter = EffortMeter(loaded, EffortConfig(), samples[0].ids[:19], longest)
    seen = []
    for layer in loaded.model.model.layers:
        layer.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0].shape[1]))
    meter.norms(samples)
    assert seen == [longest - 19, longest - 19, longest]
    assert len(loaded.model.model.layers) == 3


@pytest.mark.parametrize(
    ("parameters", "names"), [("lora_b", ["v_proj"]), ("lora", ["q_proj", "v_proj"])]
)
def test_fresh_lora_has_the_gradient_of_peft_s_own(parameters, names):
    from peft import LoraConfig, get_peft_model

    loaded = tiny_loaded()
    config = EffortConfig(parameters=parameters, lora_rank=4, lora_alpha=12)
    samples = _encoded(loaded, 4)
    norms = EffortMeter(loaded, config).norms(samples)
    lora = LoraConfig(r=4, lora_alpha=12, target_modules=names, layers_to_transform=[2])
    model = get_peft_model(loaded.model, lora).eval()
    attention = loaded.model.model.layers[2].self_attn
    for name, down in zip(["v_proj", "q_proj"], lora_downs(config, [16, 16]), strict=True):
        if name in names:
            getattr(attention, name).lora_A["default"].weight.data = down / 3.0
    parts = [part for name, part in model.named_parameters() if "lora_" in name]
    expected = []
    for sample in samples:
        labels = torch.tensor([[-100] * sample.answer + sample.ids[sample.answer :]])
        loss = model(input_ids=torch.tensor([sample.ids]), labels=labels).loss
        gradients = torch.autograd.grad(loss, parts if parameters == "lora" else parts[1:])
        expected.append(torch.cat([gradient.flatten() for gradient in gradients]).norm())
        assert not gradients[0].any() or parameters == "lora_b"  # A: exactly zero, as B is
    torch.testing.assert_close(norms, torch.stack(expected), rtol=1e-4, atol=0)


def _saved_adapter(folder, names):
    """A PEFT folder with A and B that are not zero."""
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(r=4, lora_alpha=12, target_modules=names, init_lora_weights=False)
    get_peft_model(tiny_loaded().model, lora).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("names", [["q_proj", "v_proj"], ["v_proj", "up_proj"]])
def test_a_given_adapter_has_the_gradient_of_its_own_a_and_b(names, tmp_path):
    from peft import PeftModel

    adapter = _saved_adapter(tmp_path / "adapter", names)
    config = EffortConfig(parameters="lora", adapter=str(adapter))
    loaded = tiny_loaded()
    samples = _encoded(loaded, 4)
    adapted = with_adapter(loaded, adapter)
    meter = EffortMeter(adapted, config, samples[0].ids[:19], max(map(len, samples)))
    norms = meter.norms(samples)
    model = PeftModel.from_pretrained(tiny_loaded().model, adapter, is_trainable=True).eval()
    parts = [
        part
        for name, part in model.named_parameters()
        if "layers.2.self_attn" in name and "lora_" in name
    ]
    expected = []
    for sample in samples:
        labels = torch.tensor([[-100] * sample.answer + sample.ids[sample.answer :]])
        loss = model(input_ids=torch.tensor([sample.ids]), labels=labels).loss
        gradients = torch.autograd.grad(loss, parts)
        assert all(gradient.any() for gradient in gradients)
        expected.append(torch.cat([gradient.flatten() for gradient in gradients]).norm())
    torch.testing.assert_close(norms, torch.stack(expected), rtol=1e-4, atol=0)


def test_an_adapter_without_the_measured_projections_is_refused(tmp_path):
    adapter = _saved_adapter(tmp_path / "adapter", ["up_proj"])
    config = EffortConfig(parameters="lora", adapter=str(adapter))
    with pytest.raises(InputError) as refusal:
        EffortMeter(with_adapter(tiny_loaded(), adapter), config)
    assert refusal.value.code == "adapter_not_usable"


def test_padding_contributes_nothing_whatever_it_holds():
    inputs, gradients = torch.randn(2, 5, 3), torch.randn(2, 5, 4)
    tokens = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    clean = gradient_norms(inputs, gradients, tokens)
    inputs[1, 3:], gradients[1, 3:] = float("nan"), float("inf")
    assert torch.equal(gradient_norms(inputs, gradients, tokens), clean)
    torch.testing.assert_close(clean[1], (gradients[1, :3].T @ inputs[1, :3]).norm())


class _GemmaNorm(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([0.0, 0.5, -1.0]))

    def forward(self, values):
        return values / values.norm(dim=-1, keepdim=True) * (1 + self.weight)


@pytest.mark.parametrize(
    "norm",
    [torch.nn.RMSNorm(3), torch.nn.LayerNorm(3), _GemmaNorm()],
    ids=["rms", "layer", "one+w"],
)
def test_a_norm_layer_s_weights_have_the_gradient_of_autograd(norm):
    inputs, gradients = torch.randn(2, 5, 4, 3), torch.randn(2, 5, 4, 3)
    tokens = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    expected = []
    for row in range(2):
        norm.zero_grad()
        own = tokens[row]
        norm(inputs[row, own]).backward(gradients[row, own])
        flat = torch.cat([parameter.grad for parameter in norm.parameters()])
        expected.append((flat**2).sum())
    squares = NormWeights(norm).squares(inputs, gradients, tokens)
    torch.testing.assert_close(squares, torch.stack(expected), rtol=1e-4, atol=0)


class _SmallMemory(EffortMeter):
    """As on an accelerator that holds two samples."""

    def _norms(self, samples):
        if len(samples) > 2:
            raise torch.OutOfMemoryError
        return super()._norms(samples)


def test_a_batch_that_memory_does_not_hold_is_measured_in_halves():
    loaded = tiny_loaded()
    samples = _encoded(loaded, 7)
    meter = _SmallMemory(loaded, EffortConfig())
    norms = meter.norms(samples)
    assert meter.halvings == 3  # 7 = 4 + 3 = 2 + 2 + 2 + 1
    torch.testing.assert_close(norms, EffortMeter(loaded, EffortConfig()).norms(samples))


def test_only_the_last_layer_keeps_a_graph():
    loaded = tiny_loaded()
    with_grad = []
    for layer in loaded.model.model.layers:
        layer.register_forward_hook(lambda _m, _i, output: with_grad.append(output.requires_grad))
    meter = EffortMeter(loaded, EffortConfig())
    with_grad.clear()
    meter.norms(_encoded(loaded, 2))
    assert with_grad == [False, False, True]
    assert torch.is_grad_enabled()


def test_an_architecture_without_a_value_projection_is_refused():
    from transformers import GPT2Config, GPT2LMHeadModel

    from dealrec.language_models import LoadedLanguageModel

    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=2, vocab_size=260)).eval()
    loaded = LoadedLanguageModel(model, tiny_loaded().tokenizer, "gpt2", "0")
    with pytest.raises(InputError) as refusal:
        EffortMeter(loaded, EffortConfig())
    assert refusal.value.code == "model_not_supported"


@pytest.mark.model
@pytest.mark.parametrize("parameters", EffortParameters)
def test_a_batch_gives_the_norms_of_one_by_one_autograd_on_smollm2(parameters):
    loaded = load_language_model("smollm2-135m", dtype="float32", device="cpu")
    config = EffortConfig(parameters=parameters)
    samples = _encoded(loaded, 4)
    meter = EffortMeter(loaded, config, samples[0].ids[:5], max(map(len, samples)))
    assert meter.prefix_tokens == 5
    norms = meter.norms(samples)
    torch.testing.assert_close(norms, one_by_one(loaded, samples, config), rtol=1e-4, atol=0)
