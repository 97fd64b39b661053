"""A small data set with its samples, and a tiny language model in a folder."""

import pytest

from dealrec.config import PromptConfig
from dealrec.data.ingest import ingest
from dealrec.data.prompter import Prompter, shown_titles
from dealrec.data.samples import build_samples
from dealrec.data.synthetic import write_sample_data
from tests.dealrec.language_models.tiny import byte_tokenizer, tiny_model

PROMPT = PromptConfig()


@pytest.fixture(scope="package")
def titles(dataset):
    return shown_titles(dataset, PROMPT)


@pytest.fixture(scope="package")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_sample_data(folder, users=60, items=30)
    tiny_model().save_pretrained(folder / "model")
    byte_tokenizer().save_pretrained(folder / "model")
    return folder


@pytest.fixture(scope="package")
def dataset(data):
    interactions, items = data / "interactions.csv", data / "items.csv"
    return ingest(interactions, items=items, out=data / "dataset").dataset


@pytest.fixture(scope="package")
def samples(dataset):
    prompter = Prompter(dataset, build_samples(dataset), PROMPT)
    return [prompter.prompt(index) for index in range(24)]
