"""Gradients of every sample of a data set, and of validation samples."""

import json

import numpy as np
import pytest

from dealrec.config import GradientsConfig, PromptConfig
from dealrec.config.runtime import Runtime
from dealrec.data.prompter import Prompter
from dealrec.data.samples import build_samples
from dealrec.errors import Cancelled
from dealrec.gradients.making import gradients_of, project_gradients
from dealrec.language_models.batch_plan import plan_batches
from dealrec.language_models.tokens import Encoder
from dealrec.progress import Silent
from tests.chaos.disk import SmallDisk
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_loaded, tiny_model
from tests.dealrec.surrogates.data import ring_dataset
from tests.dealrec.test_checkpoints import Events

CONFIG = GradientsConfig(dimension=32, batch_tokens=1024, validation_samples=10)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tiny_model().save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)
    return str(folder)


def test_every_sample_and_some_of_validation_get_a_short_gradient(model):
    dataset = ring_dataset(users=20)
    samples = build_samples(dataset)
    config = CONFIG.model_copy(update={"model": model})
    made = project_gradients(
        dataset, samples, PromptConfig(), config, runtime=Runtime(threads=1, device="cpu")
    )
    assert made.vectors.samples.shape == (len(samples), 32)
    assert made.vectors.validation is not None
    assert made.vectors.validation.shape == (10, 32)
    assert made.diagnostics["validation_samples"] == 10
    assert np.linalg.norm(made.vectors.samples, axis=1).min() > 0


def test_a_batch_in_pieces_gives_the_same_gradients():
    loaded, dataset = tiny_loaded(), ring_dataset(users=20)
    samples = build_samples(dataset)
    prompted = Prompter(dataset, samples, PromptConfig()).prompt
    plan = plan_batches(Encoder(loaded.tokenizer, 512), prompted, len(samples), CONFIG)
    whole = gradients_of(loaded, plan, prompted, CONFIG)
    pieces = gradients_of(loaded, plan, prompted, CONFIG, pieces=4)
    np.testing.assert_allclose(pieces, whole, rtol=1e-3, atol=1e-5)


class _StopAt(Silent):
    def __init__(self, most):
        self.most = most

    def progress(self, done, total, unit):
        if done >= self.most:
            raise Cancelled("stop")


def test_rows_that_are_older_than_what_is_said_of_them_are_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr("dealrec.language_models.vectors._SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    loaded, dataset = tiny_loaded(), ring_dataset(users=20)
    samples = build_samples(dataset)
    prompted = Prompter(dataset, samples, PromptConfig()).prompt
    plan = plan_batches(Encoder(loaded.tokenizer, 512), prompted, len(samples), CONFIG)
    whole = np.array(gradients_of(loaded, plan, prompted, CONFIG, checkpoint_dir=tmp_path))
    assert plan.batches > 3
    rows = np.memmap(tmp_path / "vectors.f32", dtype=np.float32, mode="r+", shape=whole.shape)
    rows[plan.order[plan.bounds[2] :]] = 0  # as a copy from a moment when two batches were there
    rows.flush()
    seen = []

    def counted(index):
        seen.append(index)
        return prompted(index)

    again = gradients_of(loaded, plan, counted, CONFIG, checkpoint_dir=tmp_path)
    assert seen == plan.order[plan.bounds[2] :].tolist()
    assert np.array_equal(again, whole)


def test_a_checkpoint_of_an_earlier_format_is_begun_anew(tmp_path, monkeypatch):
    store = "dealrec.language_models.vectors"
    monkeypatch.setattr(f"{store}._SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    loaded, dataset = tiny_loaded(), ring_dataset(users=20)
    samples = build_samples(dataset)
    prompted = Prompter(dataset, samples, PromptConfig()).prompt
    plan = plan_batches(Encoder(loaded.tokenizer, 512), prompted, len(samples), CONFIG)
    with monkeypatch.context() as earlier:
        earlier.setattr(f"{store}._FORMAT", 1)
        gradients_of(loaded, plan, prompted, CONFIG, checkpoint_dir=tmp_path)
    place = tmp_path / "vectors.json"
    place.write_text(json.dumps({"key": json.loads(place.read_text())["key"], "next": 2}))
    made = gradients_of(loaded, plan, prompted, CONFIG, checkpoint_dir=tmp_path)
    assert np.array_equal(made, gradients_of(loaded, plan, prompted, CONFIG))


def test_a_disk_without_room_for_the_rows_is_told_and_costs_the_checkpoints_alone(
    full_disk: SmallDisk,
):
    loaded, dataset = tiny_loaded(), ring_dataset(users=20)
    samples = build_samples(dataset)
    prompted = Prompter(dataset, samples, PromptConfig()).prompt
    plan = plan_batches(Encoder(loaded.tokenizer, 512), prompted, len(samples), CONFIG)
    events = Events()
    folder = full_disk.folder / "samples"
    made = gradients_of(loaded, plan, prompted, CONFIG, checkpoint_dir=folder, reporter=events)
    assert np.array_equal(made, gradients_of(loaded, plan, prompted, CONFIG))
    assert [kind for kind, _ in events.seen] == ["checkpoint_not_written"]
    assert not folder.exists() or list(folder.iterdir()) == []


def test_a_run_that_was_cut_off_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("dealrec.language_models.vectors._SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    loaded, dataset = tiny_loaded(), ring_dataset(users=20)
    samples = build_samples(dataset)
    prompted = Prompter(dataset, samples, PromptConfig()).prompt
    seen = []

    def counted(index):
        seen.append(index)
        return prompted(index)

    plan = plan_batches(Encoder(loaded.tokenizer, 512), prompted, len(samples), CONFIG)
    whole = gradients_of(loaded, plan, counted, CONFIG)
    assert sorted(seen) == list(range(len(samples)))
    with pytest.raises(Cancelled):
        gradients_of(loaded, plan, prompted, CONFIG, checkpoint_dir=tmp_path, reporter=_StopAt(8))
    seen.clear()
    again = gradients_of(loaded, plan, counted, CONFIG, checkpoint_dir=tmp_path)
    assert 0 < len(seen) < len(samples)
    assert np.array_equal(again, whole)
    seen.clear()
    other = CONFIG.model_copy(update={"seed": 1})
    plan = plan_batches(Encoder(loaded.tokenizer, 512), prompted, len(samples), other)
    gradients_of(loaded, plan, counted, other, checkpoint_dir=tmp_path)
    assert len(seen) == len(samples)
