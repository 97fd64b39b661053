import pytest
import torch

from dealrec.config.effort import EffortConfig, EffortParameters, LossSpan, Reduction
from dealrec.effort.gradients import EffortMeter, lora_down
from dealrec.effort.norms import gradient_norms
from dealrec.errors import InputError
from dealrec.language_models import load_language_model
from dealrec.language_models.tokens import Encoder
from tests.dealrec.language_models.tiny import tiny_loaded, tiny_samples

V_PROJ = EffortParameters.V_PROJ


def _encoded(loaded, count):
    return Encoder(loaded.tokenizer, 512).encode(tiny_samples(count))


def _one_by_one(loaded, samples, config):
    """Plain autograd: the whole model, its own logits and loss, one sample at a time."""
    value = loaded.model.model.layers[-1].self_attn.v_proj
    weight = value.weight.requires_grad_()
    norms = []
    for sample in samples:
        ids = torch.tensor([sample.ids])
        logits = loaded.model(input_ids=ids).logits[0].float()
        first = sample.first_label(config.loss_on)
        loss = torch.nn.functional.cross_entropy(
            logits[first - 1 : -1], ids[0, first:], reduction=config.reduction.value
        )
        (gradient,) = torch.autograd.grad(loss, weight)
        if config.parameters is not V_PROJ:
            gradient = gradient @ lora_down(config, weight.shape[1]).T
        norms.append(gradient.norm())
    weight.requires_grad_(requires_grad=False)
    return torch.stack(norms)


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
    torch.testing.assert_close(norms, _one_by_one(loaded, samples, config), rtol=1e-4, atol=0)


def test_lora_b_is_the_gradient_of_peft_s_own_b():
    from peft import LoraConfig, get_peft_model

    loaded = tiny_loaded()
    config = EffortConfig(parameters=EffortParameters.LORA_B, lora_rank=4, lora_alpha=12)
    samples = _encoded(loaded, 4)
    norms = EffortMeter(loaded, config).norms(samples)
    lora = LoraConfig(r=4, lora_alpha=12, target_modules=["v_proj"], layers_to_transform=[2])
    model = get_peft_model(loaded.model, lora).eval()
    adapted = loaded.model.model.layers[2].self_attn.v_proj
    adapted.lora_A["default"].weight.data = lora_down(config, 16) / 3.0
    expected = []
    for sample in samples:
        labels = torch.tensor([[-100] * sample.answer + sample.ids[sample.answer :]])
        model.zero_grad()
        model(input_ids=torch.tensor([sample.ids]), labels=labels).loss.backward()
        expected.append(adapted.lora_B["default"].weight.grad.norm())
    torch.testing.assert_close(norms, torch.stack(expected), rtol=1e-4, atol=0)


def test_padding_contributes_nothing_whatever_it_holds():
    inputs, gradients = torch.randn(2, 5, 3), torch.randn(2, 5, 4)
    tokens = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    clean = gradient_norms(inputs, gradients, tokens)
    inputs[1, 3:], gradients[1, 3:] = float("nan"), float("inf")
    assert torch.equal(gradient_norms(inputs, gradients, tokens), clean)
    torch.testing.assert_close(clean[1], (gradients[1, :3].T @ inputs[1, :3]).norm())


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
def test_a_batch_gives_the_norms_of_one_by_one_autograd_on_smollm2():
    loaded = load_language_model("smollm2-135m", dtype="float32", device="cpu")
    config = EffortConfig()
    samples = _encoded(loaded, 4)
    norms = EffortMeter(loaded, config).norms(samples)
    torch.testing.assert_close(norms, _one_by_one(loaded, samples, config), rtol=1e-4, atol=0)
