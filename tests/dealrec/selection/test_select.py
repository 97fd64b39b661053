"""Selections over strata keep these promises, whatever the scores; effort may be absent."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dealrec.config import Normalisation, SelectionConfig, SelectionMethod, StratumEdges
from dealrec.errors import InputError
from dealrec.selection.interface import HARD_PRUNED, Scores
from dealrec.selection.select import member_sha256, select

OF_STRATA = (SelectionMethod.DEALREC, SelectionMethod.DEALREC_PAPER, SelectionMethod.RANDOM)
finite = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def score_sets(draw):
    size = draw(st.integers(1, 80))
    few = draw(st.booleans())  # few distinct values: ties everywhere
    value = st.integers(0, 2).map(float) if few else finite
    influence = draw(st.lists(value, min_size=size, max_size=size))
    effort = draw(st.none() | st.lists(value, min_size=size, max_size=size))
    return Scores(
        pa.array([f"user-{number}" for number in range(size)]),
        np.array(influence),
        None if effort is None else np.array(effort),
    )


configs = st.builds(
    SelectionConfig,
    method=st.sampled_from(OF_STRATA),
    effort_weight=st.sampled_from([0.0, 0.3, 2.0]),
    strata=st.sampled_from([1, 2, 7, 50, 500]),
    stratum_edges=st.sampled_from(StratumEdges),
    normalisation=st.sampled_from(Normalisation),
    hard_prune=st.sampled_from([0.0, 0.1, 0.9]),
    seed=st.integers(0, 5),
)


def permuted(scores, order):
    return Scores(
        scores.keys.take(pa.array(order)),
        scores.influence[order],
        None if scores.effort is None else scores.effort[order],
    )


def chosen_keys(scores, selection):
    return sorted(scores.keys.take(pa.array(selection.indices)).to_pylist())


@settings(deadline=None, max_examples=300)
@given(score_sets(), configs, st.data())
def test_the_budget_is_met_exactly_without_duplicates(scores, config, data):
    budget = data.draw(st.integers(1, len(scores)))
    selection = select(scores, budget, config)
    assert len(selection.indices) == budget == len(set(selection.indices.tolist()))
    assert np.all(np.diff(selection.indices) > 0)
    assert sum(use.selected for use in selection.strata) == budget
    for use in selection.strata:
        members = np.flatnonzero(selection.stratum == use.index)
        assert use.available == len(members)
        assert use.selected == np.isin(members, selection.indices).sum()
        assert np.all(
            (selection.overall[members] >= use.low) & (selection.overall[members] <= use.high)
        )
    assert not np.any(selection.stratum[selection.indices] == HARD_PRUNED)


@settings(deadline=None, max_examples=200)
@given(score_sets(), configs, st.data())
def test_the_order_of_the_input_does_not_change_the_set(scores, config, data):
    budget = data.draw(st.integers(1, len(scores)))
    order = np.array(data.draw(st.permutations(range(len(scores)))))
    shuffled = permuted(scores, order)
    assert chosen_keys(scores, select(scores, budget, config)) == chosen_keys(
        shuffled, select(shuffled, budget, config)
    )


@settings(deadline=None, max_examples=100)
@given(score_sets(), configs)
def test_equal_scores_share_a_stratum(scores, config):
    selection = select(scores, 1, config)
    stratum_of: dict[float, int] = {}
    kept = selection.stratum != HARD_PRUNED
    for score, stratum in zip(selection.overall[kept], selection.stratum[kept], strict=True):
        assert stratum_of.setdefault(score, stratum) == stratum


def example(size=1000, seed=0):
    rng = np.random.default_rng(seed)
    keys = pa.array([f"{number}" for number in range(size)])
    return Scores(keys, rng.normal(size=size), rng.lognormal(size=size))


def test_the_same_seed_gives_the_same_set_and_another_seed_another():
    scores = example()
    first, again, other = (
        select(scores, 100, SelectionConfig(method="dealrec", seed=seed)).indices
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_hard_pruning_drops_the_highest_overall_scores():
    scores = example()
    selection = select(scores, 50, SelectionConfig(method="dealrec", hard_prune=0.1))
    dropped = selection.stratum == HARD_PRUNED
    assert dropped.sum() == 100
    assert selection.overall[dropped].min() >= selection.overall[~dropped].max()


def test_hard_pruning_never_drops_what_the_budget_needs():
    scores = example(100)
    selection = select(scores, 97, SelectionConfig(method="dealrec", hard_prune=0.9))
    assert (selection.stratum == HARD_PRUNED).sum() == 3
    assert len(selection.indices) == 97


def test_small_strata_give_all_they_have_and_large_ones_share_the_rest():
    influence = np.array([0.0] * 2 + [0.4] * 30 + [1.0] * 68)
    scores = Scores(pa.array([f"{n:03}" for n in range(100)]), influence, None)
    config = SelectionConfig(method="dealrec", effort_weight=0, strata=3, hard_prune=0)
    assert [use.selected for use in select(scores, 20, config).strata] == [2, 9, 9]


def test_every_sample_of_a_stratum_is_equally_likely():
    scores = Scores(pa.array([f"{n}" for n in range(20)]), np.zeros(20), None)
    config = SelectionConfig(method="dealrec", effort_weight=0, hard_prune=0)
    counts = np.zeros(20)
    for seed in range(2000):
        counts[select(scores, 5, config.model_copy(update={"seed": seed})).indices] += 1
    expected, deviation = 2000 * 5 / 20, np.sqrt(2000 * 0.25 * 0.75)
    assert np.abs(counts - expected).max() < 4 * deviation


def test_a_larger_budget_keeps_what_a_smaller_random_selection_took():
    scores = example()
    config = SelectionConfig(method=SelectionMethod.RANDOM)
    small, large = (set(select(scores, size, config).indices) for size in (50, 200))
    assert small < large


def test_one_outlier_flattens_minmax_but_not_rank():
    influence = np.append(np.linspace(0, 1, 99), 1e6)
    scores = Scores(pa.array([f"{n:03}" for n in range(100)]), influence, None)
    config = SelectionConfig(method="dealrec", effort_weight=0, hard_prune=0, strata=10)
    used = [use for use in select(scores, 50, config).strata if use.available]
    assert len(used) == 2
    ranked = config.model_copy(update={"normalisation": Normalisation.RANK})
    assert [use.available for use in select(scores, 50, ranked).strata] == [10] * 10


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_refused_and_named(bad):
    with pytest.raises(InputError, match="'b'") as caught:
        Scores(pa.array(["a", "b"]), np.array([0.0, bad]), None)
    assert caught.value.code == "non_finite_score"


def test_a_budget_above_the_samples_is_refused():
    with pytest.raises(InputError) as caught:
        select(example(10), 11, SelectionConfig(method="dealrec"))
    assert caught.value.code == "budget_too_large"


def test_the_hash_of_the_members_is_of_their_sorted_json_lines():
    # sha256 of '"a"\n"b"\n"é"\n', computed with sha256sum
    assert member_sha256(["é", "b", "a"]) == (
        "11bbbbf6158fe115ce9d6d085b40660c983a99778879e579ff8e4227d4ac9439"
    )
