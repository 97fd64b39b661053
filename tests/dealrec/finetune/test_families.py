"""LoRA on every family of decoders: what is adapted, and what plain peft makes of the folder."""

import pytest
import torch

from dealrec.config.finetune import FinetuneConfig, LoraSettings
from dealrec.config.model_use import ModelUse
from dealrec.errors import InputError
from dealrec.finetune.adapter import save_adapter
from dealrec.finetune.trainer import LoraTraining
from dealrec.language_models import load_language_model
from dealrec.language_models.checking import require_usable
from dealrec.language_models.targets import target_modules
from dealrec.recommenders.registry import make_recommender
from tests.dealrec.language_models.families import FAMILIES, family_loaded, family_model
from tests.dealrec.language_models.tiny import tiny_samples

SEPARATE, FUSED = ["q_proj", "v_proj"], ["query_key_value"]
OF_FAMILY = {
    "Phi-3": ["qkv_proj"],
    "GPT-2": ["c_attn"],
    "GPT-NeoX": FUSED,
    "Bloom": FUSED,
    "Falcon": FUSED,
    "Falcon (one key for all heads)": FUSED,
    "MPT": ["Wqkv"],
    "Mamba": ["in_proj", "x_proj"],
}


def _logits(model):
    with torch.no_grad():
        return model(input_ids=torch.arange(12)[None]).logits


@pytest.mark.parametrize("family", FAMILIES)
def test_an_adapter_of_every_family_loads_in_plain_peft(family, tmp_path):
    from peft import PeftModel

    folder = tmp_path / "model"
    made = family_loaded(family)
    made.model.save_pretrained(folder)
    made.tokenizer.save_pretrained(folder)
    config = FinetuneConfig(model=str(folder), learning_rate=0.05, batch_size=2)
    loaded = load_language_model(config.model, dtype="float32", device="cpu")
    recommender = make_recommender(loaded, config, None)
    samples = tiny_samples(4)
    training = LoraTraining(recommender, samples, config)
    for _ in range(2):
        training.advance()
    save_adapter(training.model, recommender, config, {}, {}, samples[0], tmp_path / "adapter")
    expected = _logits(training.model.eval())
    base = family_model(family)
    before = _logits(base)
    reloaded = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    assert torch.equal(_logits(reloaded), expected)
    assert not torch.allclose(before, expected, atol=1e-4)
    adapted = sorted(reloaded.peft_config["default"].target_modules)
    assert adapted == OF_FAMILY.get(family, SEPARATE)


@pytest.mark.parametrize("family", FAMILIES)
def test_all_linear_is_what_peft_calls_so_and_wrong_names_are_refused(family):
    from peft import LoraConfig, get_peft_model

    model = family_model(family)
    found = target_modules(model, family, ["all-linear"])
    if family == "Mamba":  # peft adapts layers there whose weights are read past the adapter
        assert found == ["in_proj", "x_proj"]
    else:
        config = LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear")
        adapted = get_peft_model(family_model(family), config).targeted_module_names
        assert found == sorted({path.rpartition(".")[2] for path in adapted})
    with pytest.raises(InputError, match=f"no modules `nothing`.*{found[0]}") as refusal:
        target_modules(model, family, ["nothing"])
    assert refusal.value.code == "unknown_target_modules"


def test_a_layer_that_is_missing_is_found_before_anything_runs(tmp_path):
    folder = tmp_path / "mamba"
    family_model("Mamba").save_pretrained(folder)
    require_usable(ModelUse(str(folder), modules=("in_proj",)))
    with pytest.raises(InputError, match="no modules `out_proj`"):
        require_usable(ModelUse(str(folder), modules=("out_proj",)))
    with pytest.raises(InputError, match=r"no projection `v_proj`.*last_block") as refusal:
        require_usable(ModelUse(str(folder), projections=("v_proj",)))
    assert refusal.value.code == "model_not_supported"


def test_words_for_target_modules_stand_alone_and_the_catalogue_s_are_written_out():
    assert LoraSettings(target_modules="q_proj, v_proj").target_modules == ("q_proj", "v_proj")
    with pytest.raises(ValueError, match="`all-linear` cannot be combined"):
        LoraSettings(target_modules=("all-linear", "q_proj"))
    written = FinetuneConfig().identity()["lora"]["target_modules"]
    assert written == ["q_proj", "v_proj"]
    assert FinetuneConfig(model="a/b").identity()["lora"]["target_modules"] == ["auto"]
