"""Checks of a model that need no weights."""

import json

import pytest

from dealrec.config.model_use import ModelUse
from dealrec.errors import InputError
from dealrec.language_models.checking import require_usable
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model


def test_a_model_is_checked_without_its_weights(tmp_path):
    model_folder = tmp_path / "tiny"
    tiny_model().save_pretrained(model_folder)
    byte_tokenizer().save_pretrained(model_folder)
    require_usable(ModelUse(str(model_folder), modules=("q_proj", "self_attn.v_proj")))
    with pytest.raises(InputError, match=r"no modules `c_attn`.*gate_proj.*v_proj") as refused:
        require_usable(ModelUse(str(model_folder), modules=("q_proj", "c_attn")))
    assert refused.value.code == "unknown_target_modules"


def test_a_model_of_the_catalogue_is_checked_by_its_entry():
    require_usable(ModelUse("smollm2-135m", modules=("down_proj", "self_attn.k_proj")))
    with pytest.raises(InputError, match="no modules `c_attn`"):
        require_usable(ModelUse("smollm2-135m", modules=("c_attn",)))


@pytest.mark.parametrize(
    ("config", "weights", "code"),
    [
        ({"model_type": "t5"}, True, "model_not_available"),
        ({"model_type": "no-such-type"}, True, "model_not_available"),
        ({"model_type": "llama"}, False, "model_not_available"),
    ],
)
def test_a_folder_that_is_no_causal_language_model_is_refused(tmp_path, config, weights, code):
    (tmp_path / "config.json").write_text(json.dumps(config))
    if weights:
        (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(InputError) as refused:
        require_usable(ModelUse(str(tmp_path)))
    assert refused.value.code == code


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    tiny_model().save_pretrained(tmp_path)
    tokenizer = byte_tokenizer()
    tokenizer.add_tokens(["<one>", "<two>", "<three>", "<four>"])
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(
        InputError, match="has 261 tokens, but the model has embeddings for only 260"
    ) as at:
        require_usable(ModelUse(str(tmp_path)))
    assert at.value.code == "tokenizer_does_not_fit"


def test_a_model_that_memory_does_not_hold_is_refused(tmp_path, monkeypatch):
    tiny_model().save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    monkeypatch.setattr("dealrec.language_models.checking.free_bytes", lambda: 50_000)
    with pytest.raises(
        InputError, match=r"but the free memory of this machine is [\d.]+ GB\."
    ) as refused:
        require_usable(ModelUse(str(tmp_path)))
    assert refused.value.code == "not_enough_memory"
    require_usable(ModelUse(str(tmp_path), dtype="bfloat16"))


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "is truncated"), (b"not a gguf\n", "is not a GGUF file")]
)
def test_a_broken_gguf_file_is_refused(tmp_path, content, said):
    (tmp_path / "broken.gguf").write_bytes(content)
    with pytest.raises(InputError, match=f"broken.gguf {said}") as refused:
        require_usable(ModelUse(str(tmp_path / "broken.gguf")))
    assert refused.value.code == "model_not_available"
