"""A model is tried out and what that took is kept: on a tiny Qwen of random weights."""

import json

import pytest
import torch
import typer
from typer.testing import CliRunner

from dealrec.config.language_models import measurements, revision
from dealrec.config.runtime import Runtime
from dealrec.errors import DealrecError, InputError
from dealrec.language_models import load_language_model
from dealrec.model_check import check_model, check_samples
from dealrec.models_cli import register
from tests.dealrec.language_models.qwen import qwen_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return qwen_folder(tmp_path_factory.mktemp("models") / "qwen")


@pytest.fixture
def catalogue(folder, tmp_path, monkeypatch):
    path = tmp_path / "models.toml"
    path.write_text(f"[models.my-qwen]\nfolder = '{folder}'\nmax_tokens = 200\n")
    monkeypatch.setenv("DEALREC_MODELS", str(path))
    return path


def test_a_check_measures_reading_effort_and_training_and_keeps_it(catalogue):
    checked = check_model("my-qwen", runtime=Runtime(threads=1, device="cpu"))
    found = checked.measured
    assert [found] == measurements("my-qwen")
    assert (found.content, found.device, found.dtype) == (revision("my-qwen"), "cpu", "float32")
    assert found.effort_error < 1e-4
    assert 0 < found.read_seconds < found.train_seconds
    assert found.effort_seconds > 0 and found.peak_memory_bytes > 10**7
    assert 50 < found.sample_tokens <= 200
    assert checked.prompt == check_samples(1)[0].prompt and isinstance(checked.answer, str)


def test_a_model_whose_effort_is_not_exact_is_told(catalogue, monkeypatch):
    monkeypatch.setattr("dealrec.model_check.effort_error", lambda *_: float("nan"))
    with pytest.raises(DealrecError, match="differs from plain autograd") as refused:
        check_model("my-qwen", runtime=Runtime(threads=1, device="cpu"))
    assert refused.value.code == "check_failed" and measurements("my-qwen") == []


def test_only_names_of_the_catalogue_are_checked(catalogue, folder):
    with pytest.raises(InputError) as refused:
        check_model(str(folder))
    assert refused.value.code == "unknown_model"


def test_a_model_is_loaded_by_its_name_and_by_what_its_entry_says(catalogue, folder):
    catalogue.write_text(
        f"[models.my-qwen]\nfolder = '{folder}'\nattention = 'eager'\nmax_tokens = 32\n"
    )
    loaded = load_language_model("my-qwen", dtype="bfloat16", device="cpu")
    assert (loaded.name, loaded.source, loaded.longest) == ("my-qwen", "my-qwen", 32)
    assert loaded.revision == revision("my-qwen")
    assert loaded.model.dtype is torch.bfloat16
    assert loaded.model.config._attn_implementation == "eager"
    by_path = load_language_model(str(folder), dtype="float32", device="cpu")
    assert (by_path.name, by_path.longest, by_path.revision) == ("qwen", 512, loaded.revision)


def run(*arguments, code=0):
    application = typer.Typer()
    register(application)
    result = CliRunner().invoke(application, ["models", *arguments])
    assert result.exit_code == code, result.output
    return result.stdout


def test_commands_add_list_check_and_remove_a_model(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("DEALREC_MODELS", str(tmp_path / "models.toml"))
    monkeypatch.setenv("DEALREC_DEVICE", "cpu")
    added = json.loads(run("add", "mine", "--folder", str(folder), "--tenant", "shop", "--json"))
    assert (added["family"], added["available"], added["tenants"]) == ("qwen3", True, ["shop"])
    checked = json.loads(run("check", "mine", "--json"))
    (listed,) = (one for one in json.loads(run("list", "--json"))["data"] if one["name"] == "mine")
    assert listed["measured"][0]["train_seconds"] == checked["train_seconds"]
    assert "1,000 tokens on cpu in float32" in run("list")
    again = json.loads(run("add", "mine", "--folder", str(folder), "--json", code=2))
    assert again["code"] == "model_exists"
    run("remove", "mine")
    assert "mine" not in run("list")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--target-modules", "c_attn"), "unknown_target_modules"),
        (("--dtype", "float16"), "invalid_model"),
        (("--gguf", "/no/such.gguf"), "invalid_model"),
    ],
)
def test_what_cannot_be_used_is_not_added(folder, tmp_path, monkeypatch, arguments, code):
    monkeypatch.setenv("DEALREC_MODELS", str(tmp_path / "models.toml"))
    told = run("add", "mine", "--folder", str(folder), *arguments, "--json", code=2)
    assert json.loads(told)["code"] == code
    assert "mine" not in run("list")
