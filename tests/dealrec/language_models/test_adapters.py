import pytest
import torch
from peft import LoraConfig, get_peft_model

from dealrec.errors import InputError
from dealrec.language_models.adapters import with_adapter
from tests.dealrec.language_models.tiny import tiny_loaded

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
