"""Options of training beside the plain loop: what they change, and that their defaults change nothing."""

import json
import sys
from importlib.util import find_spec

import pytest
import torch
from safetensors.torch import load_file

from dealrec.config.finetune import FinetuneConfig, LoraSettings, ValidationSettings
from dealrec.errors import InputError
from dealrec.finetune.lora_config import CONFIG
from dealrec.finetune.training import finetune
from dealrec.language_models import load_language_model
from dealrec.language_models.adapters import WEIGHTS, attach_adapter
from dealrec.language_models.quantization import require_quantization
from tests.dealrec.language_models.tiny import tiny_model, tiny_samples

SAMPLES = tiny_samples(16)
KNOWN_TO_PEFT_0_13 = {
    *("peft_type", "auto_mapping", "base_model_name_or_path", "revision", "task_type"),
    *("inference_mode", "r", "target_modules", "lora_alpha", "lora_dropout", "fan_in_fan_out"),
    *("bias", "use_rslora", "modules_to_save", "init_lora_weights", "layers_to_transform"),
    *("layers_pattern", "rank_pattern", "alpha_pattern", "megatron_config", "megatron_core"),
    *("loftq_config", "use_dora", "layer_replication"),
}


def _config(folder, **changes):
    lora = {"dropout": 0, **changes.pop("lora", {})}
    settings = {"learning_rate": 0.02, "batch_size": 4, "lora": LoraSettings(**lora)}
    return FinetuneConfig(model=str(folder), **{**settings, **changes})


def _trained(folder, out, **changes):
    metrics = finetune(SAMPLES, _config(folder, **changes), out=out).metrics
    return metrics, load_file(out / WEIGHTS)


def _close(first, second):
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def plain(model_folder, tmp_path_factory):
    """A training without options, its folder and its weights."""
    out = tmp_path_factory.mktemp("plain") / "adapter"
    return out, *_trained(model_folder, out)


def test_two_accumulated_batches_make_the_step_of_one_twice_as_large(
    model_folder, tmp_path, plain, monkeypatch
):
    metrics, weights = _trained(model_folder, tmp_path / "a", batch_size=2, gradient_accumulation=2)
    _close(weights, plain[2])
    assert metrics["steps"] == plain[1]["steps"] == 4
    assert metrics["tokens"] == plain[1]["tokens"]


def test_activations_that_are_computed_twice_give_the_same_adapter(model_folder, tmp_path, plain):
    _, weights = _trained(model_folder, tmp_path / "a", activation_checkpointing=True)
    _close(weights, plain[2])


@pytest.mark.parametrize("kind", ["rslora", "dora"])
def test_rslora_and_dora_train_and_load_in_plain_peft(model_folder, tmp_path, plain, kind):
    from peft import PeftModel

    metrics, weights = _trained(model_folder, tmp_path / "a", lora={kind: True})
    assert metrics["train_loss"] != plain[1]["train_loss"]
    assert any("magnitude" in name for name in weights) == (kind == "dora")
    adapted = PeftModel.from_pretrained(tiny_model(), tmp_path / "a")
    lora = adapted.peft_config["default"]
    assert (lora.use_rslora, lora.use_dora) == (kind == "rslora", kind == "dora")


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_an_adapter_is_trained_beside_quantized_weights(model_folder, tmp_path, plain, kind):
    pytest.importorskip("bitsandbytes")
    loaded = load_language_model(
        str(model_folder),
        dtype="float32",
        device="cpu",
        quantization=_config(model_folder, quantization=kind).quantization,
    )
    kinds = {type(module).__name__ for module in loaded.model.modules()}
    assert {"nf4": "Linear4bit", "int8": "Linear8bitLt"}[kind] in kinds
    packs = "support_avx512bf16_for_cpu"
    assert not any(getattr(module, packs, False) for module in loaded.model.modules())
    first = _trained(model_folder, tmp_path / "a", quantization=kind)
    second = _trained(model_folder, tmp_path / "b", quantization=kind)
    assert all(torch.equal(first[1][name], second[1][name]) for name in first[1])
    assert first[0]["train_loss"] != plain[1]["train_loss"]
    attach_adapter(loaded, tmp_path / "a")


def test_weights_that_are_not_quantized_get_an_adapter_without_bitsandbytes(
    model_folder, tmp_path, monkeypatch
):
    from peft.tuners.lora import model as lora

    def asked():
        pytest.fail("peft would load bitsandbytes")

    monkeypatch.setattr(lora, "is_bnb_available", asked)
    _trained(model_folder, tmp_path / "a")
    loaded = load_language_model(str(model_folder), dtype="float32", device="cpu")
    attach_adapter(loaded, tmp_path / "a")
    assert lora.is_bnb_available is asked


def test_quantization_without_its_package_is_refused_with_the_command_that_brings_it(
    monkeypatch, model_folder
):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setattr(
        "dealrec.language_models.quantization.find_spec",
        lambda name: None if name == "bitsandbytes" else find_spec(name),
    )
    with pytest.raises(InputError, match=r"pip install dealrec\[quantization\]") as refusal:
        require_quantization(_config(model_folder, quantization="nf4").quantization)
    assert refusal.value.code == "quantization_not_available"
    with pytest.raises(ValueError, match=r"`lora\.dora` cannot be trained on `int8`"):
        _config(model_folder, quantization="int8", lora={"dora": True})


def test_a_training_goes_on_from_an_adapter(model_folder, tmp_path, plain):
    start = plain[0]
    metrics, weights = _trained(model_folder, tmp_path / "a", from_adapter=str(start))
    assert metrics["train_loss"] < plain[1]["train_loss"]
    assert any(not torch.equal(weights[name], plain[2][name]) for name in weights)
    written = json.loads((tmp_path / "a" / CONFIG).read_text())
    assert (written["r"], written["target_modules"]) == (8, ["q_proj", "v_proj"])
    # One step of no length gives back the very adapter that it began with.
    still, unchanged = _trained(
        model_folder, tmp_path / "b", from_adapter=str(start), learning_rate=1e-30
    )
    assert all(torch.equal(unchanged[name], plain[2][name]) for name in unchanged)
    assert still["train_loss"] < plain[1]["train_loss"]


def test_an_adapter_of_another_kind_or_model_is_refused(model_folder, tmp_path, plain):
    cases = (
        ({"lora": {"rank": 4}}, r"its rank is 8, but `lora\.rank` is 4"),
        ({"lora": {"dora": True}}, "its dora is False"),
    )
    for changes, message in cases:
        with pytest.raises(InputError, match=message) as refusal:
            _trained(model_folder, tmp_path / "a", from_adapter=str(plain[0]), **changes)
        assert refusal.value.code == "adapter_not_usable"
    other = tmp_path / "other"
    other.symlink_to(model_folder)
    moved = tmp_path / "moved"
    moved.mkdir()
    for file in plain[0].iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    config = json.loads((moved / CONFIG).read_text())
    (moved / CONFIG).write_text(json.dumps({**config, "base_model_name_or_path": "a/b"}))
    with pytest.raises(InputError, match="it was trained on `a/b`"):
        _trained(model_folder, tmp_path / "a", from_adapter=str(moved))
    with pytest.raises(InputError, match=r"adapter_config\.json"):
        _trained(model_folder, tmp_path / "a", from_adapter=str(tmp_path))


def test_an_adapter_has_no_key_that_peft_0_13_does_not_know(plain):
    written = json.loads((plain[0] / CONFIG).read_text())
    assert written.keys() <= KNOWN_TO_PEFT_0_13
    assert (written["r"], written["lora_alpha"], written["bias"]) == (8, 16, "none")


def test_options_at_their_defaults_enter_no_key():
    before = {
        *("model", "epochs", "learning_rate", "batch_size", "warmup_fraction", "weight_decay"),
        *(
            "max_gradient_norm",
            "loss_on",
            "dtype",
            "max_tokens",
            "checkpoint_steps",
            "lora",
            "seed",
        ),
    }
    plain = FinetuneConfig().identity()
    assert plain.keys() == before
    assert plain["lora"].keys() == {"rank", "alpha", "dropout", "target_modules", "last_layers"}
    given = FinetuneConfig(
        gradient_accumulation=2,
        quantization="nf4",
        activation_checkpointing=True,
        from_adapter="ad_1",
        validation=ValidationSettings(samples=3),
        lora=LoraSettings(rslora=True),
    ).identity()
    assert given.keys() - before == {
        *("gradient_accumulation", "quantization", "activation_checkpointing"),
        *("from_adapter", "validation"),
    }
    assert given["lora"]["rslora"] is True
    assert "dora" not in given["lora"]
