import json

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from dealrec.config.model_merging import MergeRequest
from dealrec.errors import InputError
from dealrec.language_models.adapters import with_adapter
from dealrec.language_models.merging import answered, merge_adapter
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_loaded

TOKENS = torch.tensor([[1, 2, 3, 4, 5]])


def _save(folder, **options):
    lora = LoraConfig(r=4, target_modules=["v_proj", "q_proj"], init_lora_weights=False, **options)
    model = get_peft_model(tiny_loaded().model, lora).eval()
    model.save_pretrained(folder)
    with torch.no_grad():
        return model(input_ids=TOKENS).logits


@pytest.mark.parametrize("options", [{}, {"use_rslora": True}, {"lora_alpha": 3}])
def test_the_merged_model_is_the_adapted_one_and_keeps_the_factors(tmp_path, options):
    expected = _save(tmp_path, **options)
    plain = tiny_loaded()
    adapted = with_adapter(tiny_loaded(), tmp_path)
    torch.testing.assert_close(adapted.model(input_ids=TOKENS).logits, expected)
    assert len(adapted.lora) == 6
    for name, factors in adapted.lora.items():
        change = factors.scale * factors.up @ factors.down
        before, after = (each.model.get_submodule(name).weight for each in (plain, adapted))
        torch.testing.assert_close(after, before + change)
    assert adapted.revision.startswith("0+lora-")
    assert not any(parameter.requires_grad for parameter in adapted.model.parameters())


@pytest.mark.parametrize("options", [{}, {"use_dora": True}])
def test_a_merged_model_is_a_folder_of_its_own(tmp_path, options):
    base, adapter, out = tmp_path / "base", tmp_path / "adapter", tmp_path / "merged"
    tiny_loaded().model.save_pretrained(base)
    byte_tokenizer().save_pretrained(base)
    expected = _save(adapter, **options)
    settings = json.loads((adapter / "adapter_config.json").read_text())
    named = {**settings, "base_model_name_or_path": str(base)}
    (adapter / "adapter_config.json").write_text(json.dumps(named))
    request = MergeRequest(adapter=adapter, model=str(base), out=out)
    assert answered(request.model_dump_json().encode()).problem is None
    merged = AutoModelForCausalLM.from_pretrained(out).eval()
    torch.testing.assert_close(merged(input_ids=TOKENS).logits, expected)
    assert (
        AutoTokenizer.from_pretrained(out)("ab")["input_ids"] == byte_tokenizer()("ab")["input_ids"]
    )
    assert "base" in (out / "README.md").read_text()
    for path in out.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes()
    again = answered(request.model_dump_json().encode()).problem
    assert again is not None and again["code"] == "not_empty"
    with pytest.raises(InputError) as refused:
        merge_adapter(adapter, model="smollm2-135m", out=tmp_path / "other")
    assert refused.value.code == "adapter_not_usable"
    assert not (tmp_path / "other").exists()


def test_another_adapter_is_another_revision(tmp_path):
    _save(tmp_path / "a")
    _save(tmp_path / "b", lora_alpha=3)
    revisions = {with_adapter(tiny_loaded(), tmp_path / name).revision for name in "ab"}
    assert len(revisions) == 2


def test_what_is_no_lora_adapter_in_safetensors_is_refused(tmp_path):
    _save(tmp_path / "dora", use_dora=True)
    (tmp_path / "empty").mkdir()
    pickled = tmp_path / "pickled"
    _save(pickled)
    (pickled / "adapter_model.safetensors").rename(pickled / "adapter_model.bin")
    for name in ("dora", "empty", "pickled"):
        with pytest.raises(InputError) as refusal:
            with_adapter(tiny_loaded(), tmp_path / name)
        assert refusal.value.code == "adapter_not_usable"


def test_an_adapter_of_another_model_is_refused(tmp_path):
    _save(tmp_path)
    with pytest.raises(InputError) as refusal:
        with_adapter(tiny_loaded(width=32), tmp_path)
    assert refusal.value.code == "adapter_not_usable"
