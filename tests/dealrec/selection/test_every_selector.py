"""Every selector keeps these promises, whatever the samples."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dealrec.config import SelectionConfig, SelectionMethod
from dealrec.config.selectors import SELECTORS, Need, selector_needs
from dealrec.errors import InputError
from dealrec.selection.interface import HARD_PRUNED
from dealrec.selection.select import select
from dealrec.selection.vectors import Vectors
from tests.dealrec.selection.inputs import QUICK, configs, score_sets, whole_scores

SAME = Vectors(np.ones((60, 2), np.float32), np.ones((3, 2), np.float32))


def keys_of(scores, selection):
    return sorted(scores.keys.take(selection.indices).to_pylist())


@settings(deadline=None, max_examples=300)
@given(score_sets(), configs(), st.data())
def test_the_budget_is_met_exactly_without_duplicates(scores, config, data):
    budget = data.draw(st.integers(1, len(scores)))
    selection = select(scores, budget, config)
    assert len(selection.indices) == budget == len(set(selection.indices.tolist()))
    assert np.all(np.diff(selection.indices) > 0)
    assert not np.any(selection.stratum[selection.indices] == HARD_PRUNED)
    assert np.isfinite(selection.overall).all()


@settings(deadline=None, max_examples=300)
@given(score_sets(), configs(), st.data())
def test_the_strata_add_up_to_the_selection(scores, config, data):
    budget = data.draw(st.integers(1, len(scores)))
    selection = select(scores, budget, config)
    assert sum(use.selected for use in selection.strata) == budget
    for use in selection.strata:
        members = np.flatnonzero(selection.stratum == use.index)
        assert use.available == len(members)
        assert use.selected == np.isin(members, selection.indices).sum()
        assert np.all(
            (selection.overall[members] >= use.low) & (selection.overall[members] <= use.high)
        )


@settings(deadline=None, max_examples=300)
@given(score_sets(), configs(), st.data())
def test_the_order_of_the_samples_does_not_change_the_set(scores, config, data):
    budget = data.draw(st.integers(1, len(scores)))
    shuffled = scores.take(np.array(data.draw(st.permutations(range(len(scores))))))
    assert keys_of(scores, select(scores, budget, config)) == keys_of(
        shuffled, select(shuffled, budget, config)
    )


@pytest.mark.parametrize("method", SelectionMethod)
@pytest.mark.parametrize("few", [False, True])
def test_the_whole_data_and_a_single_sample_are_budgets_too(method, few):
    scores = whole_scores(30, few=few)
    config = SelectionConfig(**QUICK, method=method)
    assert select(scores, 30, config).indices.tolist() == list(range(30))
    assert len(select(scores, 1, config).indices) == 1
    assert select(whole_scores(1), 1, config).indices.tolist() == [0]


@pytest.mark.parametrize("method", SelectionMethod)
def test_the_same_seed_gives_the_same_set_and_ties_are_drawn_by_seed(method):
    scores = dataclasses.replace(
        whole_scores(60),
        embedding=SAME,
        gradients=SAME,
        times=np.ones(60, np.int64),
        **{
            name: np.ones(60)
            for name in ("influence", "effort", "el2n", "grand", "likelihood", "ifd")
        },
    )
    config = SelectionConfig(**QUICK, method=method)
    first, again = (select(scores, 20, config).indices for _ in range(2))
    assert np.array_equal(first, again)
    if "seed" in SELECTORS[method].parameters:
        others = [
            select(scores, 20, config.model_copy(update={"seed": seed})).indices
            for seed in range(1, 6)
        ]
        assert any(not np.array_equal(first, other) for other in others)


@pytest.mark.parametrize("method", SelectionMethod)
def test_a_selector_reads_no_more_than_it_says(method):
    """All that the registry does not name may be absent, and other options change nothing."""
    scores = whole_scores(50)
    config = SelectionConfig(**QUICK, method=method, strata=5)
    needs = selector_needs(config)
    absent = {
        name: None
        for name in (
            "effort",
            "targets",
            "history_lengths",
            "times",
            "el2n",
            "grand",
            "likelihood",
            "ifd",
            "embedding",
            "gradients",
            "titles",
        )
        if not any(need.value in (name, f"validation_{name}") for need in needs)
    }
    bare = dataclasses.replace(scores, **absent)
    unread = SelectionConfig().model_dump(
        exclude={"method", "strata", *SELECTORS[method].parameters}
    )
    changed = {
        name: value + 1 if isinstance(value, int) else value / 2
        for name, value in unread.items()
        if type(value) in (int, float)
    }
    expected = select(scores, 17, config).indices
    assert np.array_equal(expected, select(bare, 17, config).indices)
    assert np.array_equal(expected, select(scores, 17, config.model_copy(update=changed)).indices)


@pytest.mark.parametrize("method", SelectionMethod)
def test_what_a_selector_needs_is_asked_for_by_name(method):
    scores = whole_scores(20)
    for need in selector_needs(SelectionConfig(**QUICK, method=method)) - {Need.INFLUENCE}:
        if need is Need.EFFORT and "effort_weight" in SELECTORS[method].parameters:
            continue
        name = need.value.removeprefix("validation_")
        without = None
        if need.value != name:
            without = dataclasses.replace(getattr(scores, name), validation=None)
        lacking = dataclasses.replace(scores, **{name: without})
        with pytest.raises(InputError, match=need.value) as caught:
            select(lacking, 5, SelectionConfig(**QUICK, method=method))
        assert caught.value.code == "scores_missing"
        assert ("leave_one_out" in caught.value.detail) == need.startswith("validation_")


@pytest.mark.parametrize("method", SelectionMethod)
def test_every_selector_says_what_it_is(method):
    entry = SELECTORS[method]
    assert entry.load().__doc__
    assert set(entry.parameters) <= set(SelectionConfig.model_fields)
    assert entry.summary.endswith(".")
