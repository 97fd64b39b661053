"""Titles and samples are read as the recommender that a comparison trains reads them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dealrec.config import PromptConfig, SelectionConfig
from dealrec.config.selection_training import encoder_of
from dealrec.config.titles import TitlesConfig
from dealrec.data.ingest import ingest
from dealrec.data.prompter import Prompter, shown_titles
from dealrec.data.samples import build_samples, validation_samples
from dealrec.data.synthetic import write_sample_data
from dealrec.finetune.trainer import LoraTraining
from dealrec.language_models.loading import load_language_model
from dealrec.metagradient.encoder import Parameters, titles_of_samples
from dealrec.metagradient.reading import read_titles
from dealrec.metagradient.training import Training
from dealrec.recommenders.registry import make_recommender
from dealrec.selection.titles import NO_TITLE, TitleTable
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model

PROMPT = PromptConfig(history_items=5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("data")
    write_sample_data(found, users=60, items=30)
    tiny_model().save_pretrained(found / "model")
    byte_tokenizer().save_pretrained(found / "model")
    return found


@pytest.fixture(scope="module")
def dataset(folder):
    interactions, items = folder / "interactions.csv", folder / "items.csv"
    return ingest(interactions, items=items, out=folder / "dataset").dataset


@pytest.fixture(scope="module")
def read(folder, dataset):
    config = TitlesConfig(model=str(folder / "model"), validation_users=20, candidates=6)
    return read_titles(dataset, build_samples(dataset), PROMPT, config)


def test_a_training_is_the_one_of_the_recommender(folder, dataset, read):
    table, _ = read
    config = encoder_of(SelectionConfig(training_epochs=3, training_batch=8, training_rate=0.01))
    config = config.model_copy(update={"model": str(folder / "model")})
    titles, samples = shown_titles(dataset, PROMPT), build_samples(dataset)
    loaded = load_language_model(config.model, dtype="float32", device="cpu")
    recommender = make_recommender(loaded, config, titles=titles)
    members = torch.arange(0, 50, 2)
    prompter = Prompter(dataset, samples, PROMPT)
    theirs = LoraTraining(recommender, [prompter.prompt(i) for i in members.tolist()], config)
    start = Parameters(*(one.detach().clone() for one in recommender.head.parameters()))
    while not theirs.finished:
        theirs.advance()
    training = Training(titles_of_samples(table, config.encoder.decay), start, config)
    ours, _ = training.run(members, torch.arange(1, 50, 2))
    for one, other in zip(ours.parameters, recommender.head.parameters(), strict=True):
        assert not torch.allclose(other, start.weight if other.ndim == 2 else start.bias, atol=1e-3)
        torch.testing.assert_close(one, other.detach(), rtol=0, atol=1e-5)


def test_histories_are_the_last_titles_oldest_first(dataset, read):
    table, _ = read
    samples, of_item = build_samples(dataset), shown_titles(dataset, PROMPT).of_item
    for index in (0, 7, len(samples) - 1):
        row = table.histories[index]
        expected = of_item[samples.history(index, 5)].tolist()
        assert row[: len(expected)].tolist() == expected
        assert (row[len(expected) :] == NO_TITLE).all()
        assert table.targets[index] == of_item[samples.targets[index]]


def test_validation_users_choose_among_what_such_users_chose(dataset, read):
    table, said = read
    asked = validation_samples(dataset, 20)
    assert asked is not None
    own = shown_titles(dataset, PROMPT).of_item[asked.targets]
    assert said["validation_users"] == 20
    assert table.validation.candidates.shape == (20, 6)
    assert table.validation.candidates[:, 0].tolist() == own.tolist()
    assert set(table.validation.candidates.ravel()) <= set(own.tolist())


def test_what_is_saved_is_loaded(tmp_path, read):
    table, _ = read
    for saved in (table, replace(table, validation=None)):
        folder = tmp_path / str(saved.validation is None)
        saved.save(folder)
        loaded = TitleTable.load(folder)
        for name in ("states", "histories", "targets"):
            assert np.array_equal(getattr(loaded, name), getattr(saved, name))
        assert (loaded.validation is None) == (saved.validation is None)
        if saved.validation is not None and loaded.validation is not None:
            assert np.array_equal(loaded.validation.candidates, saved.validation.candidates)
            assert np.array_equal(loaded.validation.histories, saved.validation.histories)
