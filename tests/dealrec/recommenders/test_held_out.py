import numpy as np
import pytest

from dealrec.config import EvaluationConfig, PromptConfig, Split
from dealrec.data.samples import held_out_samples
from dealrec.errors import InputError
from dealrec.recommenders.held_out import held_out_split, held_out_users
from tests.dealrec.surrogates.data import ring_dataset


def test_the_test_item_is_asked_for_after_everything_before_it():
    dataset = ring_dataset(users=40)
    users = held_out_users(dataset, PromptConfig(), EvaluationConfig())
    assert users.split is Split.TEST
    samples = held_out_samples(dataset, Split.TEST, 1000)
    assert samples is not None
    offsets, before = dataset.subsequences((0, 1))
    _, test = dataset.subsequences((2,))
    for index, user in enumerate(samples.users.tolist()):
        np.testing.assert_array_equal(
            samples.history(index), before[offsets[user] : offsets[user + 1]]
        )
        last = dataset.titles[int(samples.targets[index])].as_py()
        assert users.prompts[index].output == f'"{last}"'
    assert len(users.prompts) == len(samples)
    assert sum(map(len, users.answers)) <= len(test)


def test_few_users_are_spread_over_all_and_fewer_are_ranked():
    dataset = ring_dataset(users=40)
    options = EvaluationConfig(users=10, ranking_users=4)
    users = held_out_users(dataset, PromptConfig(), options)
    assert len(users.prompts) == len(users.candidates) == 10
    assert len(users.ranked) == len(users.histories) == len(users.answers) == 4
    none = held_out_users(dataset, PromptConfig(), EvaluationConfig(users=10, ranking_users=0))
    assert len(none.ranked) == 0


def test_validation_is_asked_where_there_is_no_test_and_nobody_is_an_error():
    dataset = ring_dataset(users=20, test=False)
    assert held_out_split(dataset, EvaluationConfig().split) is Split.VALID
    with pytest.raises(InputError) as refusal:
        held_out_users(dataset, PromptConfig(), EvaluationConfig(split="test"))
    assert refusal.value.code == "no_held_out_users"
