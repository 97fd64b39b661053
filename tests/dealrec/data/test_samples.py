"""Validation samples: what a coreset is to be good at."""

import numpy as np

from dealrec.config import PromptConfig
from dealrec.data.prompter import Prompter
from dealrec.data.samples import build_samples, validation_samples
from tests.dealrec.surrogates.data import ring_dataset


def test_each_user_is_asked_for_the_first_validation_item_after_all_training_items():
    dataset = ring_dataset()
    samples = validation_samples(dataset, 1000)
    assert samples is not None
    assert len(samples) == dataset.n_users
    for index, user in enumerate(samples.users):
        part = slice(dataset.offsets[user], dataset.offsets[user + 1])
        items, splits = dataset.items[part], dataset.splits[part]
        assert samples.history(index).tolist() == items[splits == 0].tolist()
        assert samples.targets[index] == items[splits == 1][0]
        assert samples.positions[index] == np.flatnonzero(splits == 1)[0]


def test_of_too_many_users_some_are_taken_evenly():
    dataset = ring_dataset()
    few, whole = validation_samples(dataset, 7), validation_samples(dataset, 1000)
    assert few is not None and whole is not None
    assert few.users.tolist() == [60 * place // 7 for place in range(7)]
    for index, user in enumerate(few.users):
        assert few.history(index).tolist() == whole.history(user).tolist()


def test_without_a_validation_split_there_is_none():
    assert validation_samples(ring_dataset(valid=False, test=False), 10) is None


def test_they_are_put_into_the_words_of_the_samples():
    dataset = ring_dataset()
    validation = validation_samples(dataset, 1000)
    assert validation is not None
    asked = Prompter(dataset, validation, PromptConfig()).prompt(3)
    sample = Prompter(dataset, build_samples(dataset), PromptConfig()).prompt(3)
    assert asked.instruction == sample.instruction
    assert asked.input.startswith(sample.input)
    assert asked.output == f'"Item {validation.targets[3]}"'
