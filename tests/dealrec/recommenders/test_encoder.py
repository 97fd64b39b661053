"""The encoder against plain computations: its loss, its ranking, its folder."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import typer
from safetensors.torch import load_file
from torch import nn
from typer.testing import CliRunner

from dealrec import cli
from dealrec.config import EvaluationConfig
from dealrec.config.finetune import FinetuneConfig, LoraSettings
from dealrec.data.prompter import ShownTitles
from dealrec.data.prompts import PromptedSample
from dealrec.errors import Cancelled, InputError
from dealrec.finetune.trainer import LoraTraining
from dealrec.finetune.training import finetune
from dealrec.language_models.loading import load_language_model
from dealrec.progress import Silent
from dealrec.recommenders.evaluation import evaluate_adapter
from dealrec.recommenders.export import export_encoder
from dealrec.recommenders.held_out import held_out_users
from dealrec.recommenders.projection import whitening
from dealrec.recommenders.registry import make_recommender
from tests.dealrec.recommenders.conftest import PROMPT

EVALUATION = EvaluationConfig(users=12, ranking_users=12)
FROZEN, LAYER = LoraSettings(last_layers=0), LoraSettings(last_layers=1, dropout=0)


def config(data, lora=FROZEN, **changes):
    encoder = {
        "dimensions": 8,
        "pooling": "last",
        "temperature": 0.2,
        "learning_rate": 0.01,
        **changes.pop("encoder", {}),
    }
    return FinetuneConfig(
        model=str(data / "model"),
        recommender="encoder",
        lora=lora,
        encoder=encoder,
        **{"epochs": 2, "batch_size": 4, "learning_rate": 0.01, **changes},
    )


def recommender_of(data, titles, settings, trunk=None):
    loaded = load_language_model(settings.model, dtype="float32", device="cpu")
    return make_recommender(loaded, settings, trunk, titles=titles)


def vectors_one_by_one(loaded, texts, weight, bias, pooling="last"):
    """Plainly: each text alone through the model, the projection, and to length 1."""
    found = []
    for text in texts:
        ids = loaded.tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            states = loaded.model.get_decoder()(input_ids=ids).last_hidden_state[0]
        state = states[-1] if pooling == "last" else states.mean(0)
        found.append(nn.functional.normalize(weight @ state + bias, dim=0))
    return torch.stack(found)


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("lora", [FROZEN, LAYER], ids=["frozen", "layer"])
def test_losses_and_ranks_are_those_of_plain_cosines(data, dataset, titles, lora, pooling):
    settings = config(data, lora, encoder={"pooling": pooling})
    recommender = recommender_of(data, titles, settings)
    users = held_out_users(dataset, PROMPT, EVALUATION)
    examination = recommender.examination(dataset, users, EVALUATION)
    measured = examination.measure()
    weight, bias = (p.detach() for p in recommender.head.parameters())
    prompts = [sample.prompt for sample in users.prompts]
    quoted = titles.texts
    histories, catalogue = (
        vectors_one_by_one(recommender.loaded, texts, weight, bias, pooling)
        for texts in (prompts, quoted)
    )
    chances = (histories @ catalogue.T / 0.2).log_softmax(1)
    own = titles.of_item[users.candidates[:, 0]].astype(np.int64)
    plain = -chances[torch.arange(12), torch.from_numpy(own)].numpy()
    np.testing.assert_allclose(measured.users["nll"], plain, atol=1e-4)
    scores = torch.cat(list(examination.scores(None, lambda: None)))
    of_item = torch.from_numpy(titles.of_item.astype(np.int64))
    np.testing.assert_allclose(
        scores.numpy(), (histories @ catalogue.T / 0.2)[:, of_item].numpy(), atol=1e-4
    )


def test_items_with_equal_titles_have_equal_scores(data, dataset):
    titles = ShownTitles(
        [f"Title {n}" for n in range(dataset.n_items - 1)],
        np.minimum(np.arange(dataset.n_items), dataset.n_items - 2).astype(np.int32),
    )
    recommender = recommender_of(data, titles, config(data))
    users = replace(held_out_users(dataset, PROMPT, EVALUATION), titles=titles)
    examination = recommender.examination(dataset, users, EVALUATION)
    examination.measure()
    for scores in examination.scores(None, lambda: None):
        assert torch.equal(scores[:, -1], scores[:, -2])
        assert not torch.equal(scores[:, -2], scores[:, -3])


def test_a_softmax_over_drawn_titles_expects_that_over_all(data, titles, samples):
    whole = recommender_of(data, titles, config(data)).objective(samples)
    drawn = recommender_of(data, titles, config(data, encoder={"negatives": 6})).objective(samples)
    with torch.no_grad():
        exact = whole.loss_sum([3]).item()
        torch.manual_seed(0)
        found = [math.exp(drawn.loss_sum([3]).item()) for _ in range(3000)]
    assert np.std(found) > 0
    assert np.mean(found) == pytest.approx(math.exp(exact), abs=4 * np.std(found) / 3000**0.5)


def test_every_title_is_in_a_softmax_that_draws_as_many(data, titles, samples):
    whole = recommender_of(data, titles, config(data)).objective(samples)
    asked = config(data, LAYER, encoder={"negatives": len(titles.texts)})
    layered = recommender_of(data, titles, asked).objective(samples)
    batch = list(range(8))
    assert whole.loss_sum(batch).item() == pytest.approx(layered.loss_sum(batch).item(), rel=1e-4)


def test_whitened_states_have_equal_variance_in_every_direction():
    states = torch.randn(500, 6, generator=torch.Generator().manual_seed(0))
    states = states * torch.tensor([9.0, 3, 3, 1, 1, 0.5]) + 5
    weights, bias = whitening(states, 3)
    found = states @ weights.T + bias
    torch.testing.assert_close(found.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(found.T @ found / 500, torch.eye(3), atol=0.08, rtol=0)


class _StopAt(Silent):
    """Cancels once ``unit`` has come to ``done``."""

    def __init__(self, unit, done):
        self.unit, self.done = unit, done

    def progress(self, done, total, unit):
        if (unit, done) == (self.unit, self.done):
            raise Cancelled("asked to stop")


@pytest.mark.parametrize("lora", [FROZEN, LAYER], ids=["frozen", "layer"])
def test_a_stopped_training_ends_with_the_very_same_folder(data, titles, samples, tmp_path, lora):
    settings = config(data, lora, checkpoint_steps=2)
    samples = samples[:12]
    finetune(samples, settings, out=tmp_path / "a", titles=titles)
    checkpoints = tmp_path / "checkpoints"
    for step in (3, 5):
        with pytest.raises(Cancelled):
            finetune(
                samples,
                settings,
                out=tmp_path / "b",
                titles=titles,
                checkpoint_dir=checkpoints,
                reporter=_StopAt("step", step),
            )
    finetune(samples, settings, out=tmp_path / "b", titles=titles, checkpoint_dir=checkpoints)
    for name in ("adapter_model.safetensors", "projection.safetensors"):
        first, second = (load_file(tmp_path / folder / name) for folder in "ab")
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)


def test_vectors_that_were_read_are_not_read_again(data, titles, samples, tmp_path, monkeypatch):
    settings = config(data)
    first = recommender_of(data, titles, settings, tmp_path)
    texts = first.encode(samples)
    first.keep(texts)
    second = recommender_of(data, titles, settings, tmp_path)
    monkeypatch.setattr(second, "hidden_states", None)
    assert torch.equal(first.vectors(texts).isfinite(), second.vectors(texts).isfinite())
    assert first.trunk_seconds_per_token == second.trunk_seconds_per_token > 0


@pytest.mark.parametrize("lora", [FROZEN, LAYER], ids=["frozen", "layer"])
def test_a_saved_encoder_is_the_one_that_was_trained(
    data, dataset, titles, samples, tmp_path, lora
):
    settings = config(data, lora, batch_size=8)
    recommender = recommender_of(data, titles, settings)
    users = held_out_users(dataset, PROMPT, EVALUATION)
    examination = recommender.examination(dataset, users, EVALUATION)
    before = examination.measure()
    training = LoraTraining(recommender, samples, settings)
    while not training.finished:
        training.advance()
    trained = examination.measure(training.model)
    finetune(samples, settings, out=tmp_path / "adapter", titles=titles)
    found = evaluate_adapter(dataset, tmp_path / "adapter", PROMPT, settings, EVALUATION)
    assert found.metrics == pytest.approx(trained.means, rel=1e-4)
    assert found.untrained == pytest.approx(before.means, rel=1e-4)
    assert found.metrics["nll"] < found.untrained["nll"]


@pytest.fixture(scope="module")
def exported(data, titles, samples, tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    settings = config(data, LAYER, epochs=1, batch_size=8)
    finetune(samples, settings, out=folder / "adapter", titles=titles)
    export_encoder(folder / "adapter", out=folder / "model", model=str(data / "model"))
    return folder


def trained_vectors(exported, data, titles, texts):
    """The vectors of the adapter beside the model, one by one."""
    from dealrec.language_models.adapters import attach_adapter

    loaded = load_language_model(str(data / "model"), dtype="float32", device="cpu")
    attach_adapter(loaded, exported / "adapter")
    head = load_file(exported / "adapter" / "projection.safetensors")
    return vectors_one_by_one(loaded, texts, head["weight"], head["bias"])


def test_an_exported_folder_has_the_encoder_in_its_modules(exported, data, titles):
    from transformers import AutoModel, AutoTokenizer

    folder = exported / "model"
    modules = json.loads((folder / "modules.json").read_text())
    assert [module["path"] for module in modules] == ["", "1_Pooling", "2_Dense", "3_Normalize"]
    assert json.loads((folder / "1_Pooling" / "config.json").read_text())["pooling_mode_lasttoken"]
    model, tokenizer = AutoModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    dense = load_file(folder / "2_Dense" / "model.safetensors")
    texts = titles.texts[:3]
    wanted = trained_vectors(exported, data, titles, texts)
    for text, vector in zip(texts, wanted, strict=True):
        with torch.no_grad():
            state = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0, -1]
        made = dense["linear.weight"] @ state + dense["linear.bias"]
        torch.testing.assert_close(nn.functional.normalize(made, dim=0), vector, atol=1e-5, rtol=0)


def test_sentence_transformers_loads_an_exported_folder(exported, data, titles, samples):
    library = pytest.importorskip("sentence_transformers")
    model = library.SentenceTransformer(str(exported / "model"), device="cpu")
    texts = titles.texts[:8]
    found = model.encode(texts, prompt_name="document", convert_to_tensor=True)
    torch.testing.assert_close(
        found, trained_vectors(exported, data, titles, texts), atol=1e-5, rtol=0
    )
    prompts = [sample.prompt for sample in samples[:3]]
    instruction = f"{samples[0].instruction}\n"
    histories = [prompt.removeprefix(instruction) for prompt in prompts]
    found = model.encode(histories, prompt_name="query", convert_to_tensor=True)
    torch.testing.assert_close(
        found, trained_vectors(exported, data, titles, prompts), atol=1e-5, rtol=0
    )


def test_an_encoder_of_other_words_is_not_exported_as_one_of_plain_prompts(
    data, titles, samples, tmp_path
):
    told = [replace(sample, before="They chose: ", after=". And then?") for sample in samples]
    finetune(told, config(data, batch_size=24), out=tmp_path / "adapter", titles=titles)
    with pytest.raises(InputError, match="its prompt is a template"):
        export_encoder(tmp_path / "adapter", out=tmp_path / "model", model=str(data / "model"))
    assert not (tmp_path / "model").exists()


def test_another_adapter_is_no_encoder_to_export(data, samples, tmp_path):
    settings = FinetuneConfig(model=str(data / "model"), batch_size=24)
    finetune(samples, settings, out=tmp_path / "adapter")
    with pytest.raises(InputError) as refusal:
        export_encoder(tmp_path / "adapter", out=tmp_path / "model", model=str(data / "model"))
    assert refusal.value.code == "adapter_not_usable"
    assert not (tmp_path / "model").exists()


def test_an_encoder_needs_the_catalogue_and_each_answer_in_it(data, titles, samples, tmp_path):
    with pytest.raises(InputError) as refusal:
        finetune(samples, config(data), out=tmp_path / "a")
    assert refusal.value.code == "no_catalogue"
    stranger = PromptedSample.plain(samples[0].instruction, samples[0].input, '"no such title"')
    with pytest.raises(InputError) as refusal:
        finetune([stranger], config(data), out=tmp_path / "a", titles=titles)
    assert refusal.value.code == "unknown_title"
    assert not (tmp_path / "a").exists()


def test_the_command_trains_on_a_file_with_the_data_beside_it(data, samples, tmp_path):
    lines = tmp_path / "coreset.jsonl"
    fields = ("instruction", "input", "output")
    rows = [{name: getattr(sample, name) for name in fields} for sample in samples]
    lines.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    application = typer.Typer()
    cli.register(application)
    asked = ["finetune", str(lines), f"--out={tmp_path / 'adapter'}", f"--model={data / 'model'}"]
    asked += ["--set=recommender=encoder", "--set=lora.last_layers=0"]
    refused = CliRunner().invoke(application, asked)
    assert refused.exit_code == 2
    assert "--interactions FILE --items FILE" in refused.output.replace("\n", " ")
    given = [f"--interactions={data / 'interactions.csv'}", f"--items={data / 'items.csv'}"]
    made = CliRunner().invoke(application, [*asked, *given])
    assert made.exit_code == 0, made.output
    out = tmp_path / "exported"
    options = [f"--out={out}", f"--model={data / 'model'}"]
    exported = CliRunner().invoke(application, ["export", str(tmp_path / "adapter"), *options])
    assert exported.exit_code == 0, exported.output
    assert (out / "2_Dense" / "model.safetensors").is_file()
