import pytest
import torch

from dealrec.config.effort import EffortConfig
from dealrec.effort.gradients import GradientMeter
from dealrec.effort.parameters import lora_downs
from dealrec.errors import InputError
from dealrec.language_models.adapters import with_adapter
from tests.dealrec.effort.reference import encoded
from tests.dealrec.language_models.tiny import tiny_loaded


@pytest.mark.parametrize(
    ("parameters", "names"), [("lora_b", ["v_proj"]), ("lora", ["q_proj", "v_proj"])]
)
def test_fresh_lora_has_the_gradient_of_peft_s_own(parameters, names):
    from peft import LoraConfig, get_peft_model

    loaded = tiny_loaded()
    config = EffortConfig(parameters=parameters, lora_rank=4, lora_alpha=12)
    samples = encoded(loaded, 4)
    norms = GradientMeter(loaded, config).norms(samples)
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
    samples = encoded(loaded, 4)
    adapted = with_adapter(loaded, adapter)
    meter = GradientMeter(adapted, config, samples[0].ids[:19], max(map(len, samples)))
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
        GradientMeter(with_adapter(tiny_loaded(), adapter), config)
    assert refusal.value.code == "adapter_not_usable"


@pytest.mark.parametrize("parameters", ["last_block", "v_proj"])
def test_a_bias_counts_with_its_weight(parameters):
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from dealrec.language_models import LoadedLanguageModel
    from tests.dealrec.language_models.tiny import byte_tokenizer

    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    model = Qwen2ForCausalLM(Qwen2Config(vocab_size=260, **shape, **heads)).eval()
    loaded = LoadedLanguageModel(
        model.requires_grad_(requires_grad=False), byte_tokenizer(), "qwen2", "0"
    )
    samples = encoded(loaded, 4)
    norms = GradientMeter(loaded, EffortConfig(parameters=parameters)).norms(samples)
    layer = model.model.layers[-1]
    part = layer if parameters == "last_block" else layer.self_attn.v_proj
    weights = list(part.requires_grad_().parameters())
    expected = []
    for sample in samples:
        labels = torch.tensor([[-100] * sample.answer + sample.ids[sample.answer :]])
        loss = model(input_ids=torch.tensor([sample.ids]), labels=labels).loss
        gradients = torch.autograd.grad(loss, weights)
        expected.append(torch.cat([gradient.flatten() for gradient in gradients]).norm())
    torch.testing.assert_close(norms, torch.stack(expected), rtol=1e-4, atol=0)
