import pytest
import torch

from dealrec.errors import InputError
from dealrec.language_models import load_language_model
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model


def test_a_local_folder_is_loaded_and_named_without_its_path(tmp_path):
    folder = tmp_path / "my-llama"
    model = tiny_model()
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    loaded = load_language_model(str(folder), dtype="float32", device="cpu")
    assert loaded.name == "my-llama"
    assert len(loaded.revision) == 64
    assert torch.equal(loaded.model.lm_head.weight, model.lm_head.weight)
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("no-such-model", "unknown_model"),
        ("/nowhere/at/all", "unknown_model"),
        ("missing.gguf", "model_not_available"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(name, code):
    with pytest.raises(InputError) as refusal:
        load_language_model(name, dtype="float32", device="cpu")
    assert refusal.value.code == code


def test_pickled_weights_are_refused(tmp_path):
    model = tiny_model()
    model.config.save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError) as refusal:
        load_language_model(str(tmp_path), dtype="float32", device="cpu")
    assert refusal.value.code == "model_not_available"


@pytest.mark.model
def test_the_catalogue_model_continues_a_sentence():
    loaded = load_language_model("smollm2-135m", dtype="float32", device="cpu")
    tokens = loaded.tokenizer("The capital of France is", return_tensors="pt")
    ids = loaded.model.generate(**tokens, max_new_tokens=4, do_sample=False)
    assert "Paris" in loaded.tokenizer.decode(ids[0])
    assert (loaded.name, loaded.revision) == ("smollm2-135m", "0.1.2")
