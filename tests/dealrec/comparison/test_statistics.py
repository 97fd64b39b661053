import numpy as np
import pytest

from dealrec.comparison.statistics import (
    differences,
    mean_jaccard,
    middle,
    same_against_same,
    spreads,
    table,
)
from dealrec.metrics.crossed import Spread

DRAW = np.random.default_rng(0)
USERS = DRAW.normal(20, 5, 200)


def _runs(count, shift=0.0, run_spread=0.02):
    noise = DRAW.normal(0, 0.3, (count, len(USERS)))
    return USERS + shift + DRAW.normal(0, run_spread, (count, 1)) + noise


def test_a_lower_loss_is_better_and_a_lower_recall_worse():
    figures = {
        ("random", 64): {"nll": _runs(8), "recall@10": _runs(8)},
        ("good", 64): {"nll": _runs(5, -0.5), "recall@10": _runs(5, -0.5)},
        ("same", 64): {"nll": _runs(5), "recall@10": _runs(5)},
    }
    found = {(row.selector, row.metric): row for row in differences(figures, ["random"], "nll")}
    assert found["good", "nll"].better is True
    assert found["good", "recall@10"].better is False
    assert found["same", "nll"].better is None
    assert found["good", "nll"].mean == pytest.approx(-0.5, abs=0.15)
    assert found["good", "nll"].corrected_p_value >= found["good", "nll"].p_value
    assert {row.against for row in found.values()} == {"random"}


def test_many_selectors_of_which_none_is_better_are_rarely_called_so():
    shown = 0
    for _ in range(20):
        figures = {(f"s{n}", 8): {"nll": _runs(5)} for n in range(10)}
        figures["random", 8] = {"nll": _runs(8)}
        shown += any(row.better is not None for row in differences(figures, ["random"], "nll"))
    assert shown <= 4  # each has a chance of 0.05; uncorrected more than half would be


def test_runs_that_only_one_of_them_has_are_left_out():
    random = _runs(8)
    figures = {("random", 8): {"nll": random}, ("same", 8): {"nll": random[:5] + 0.3}}
    (found,) = differences(figures, ["random"], "nll")
    assert found.runs == 5
    assert (found.low, found.high) == pytest.approx((0.3, 0.3))


def test_a_difference_smaller_than_the_smallest_of_interest_is_level():
    random = _runs(6)
    figures = {("random", 8): {"nll": random, "recall@10": random}}
    figures |= {("near", 8): {"nll": random + 0.01, "recall@10": random + 0.01}}
    figures |= {("far", 8): {"nll": random + 0.4, "recall@10": random}}
    asked = differences(figures, ["random"], "nll", 0.05)
    found = {(row.selector, row.metric): row for row in asked}
    assert found["near", "nll"].level is True
    assert found["far", "nll"].level is False
    assert found["near", "recall@10"].level is None
    assert {row.level for row in differences(figures, ["random"], "nll")} == {None}


def test_nothing_is_said_of_fewer_runs_than_a_verdict_takes():
    random = _runs(4)
    figures = {("random", 8): {"nll": random}, ("worse", 8): {"nll": random + 1}}
    (found,) = differences(figures, ["random"], "nll", 0.05)
    assert (found.p_value, found.better, found.level) == (0.0, None, None)


def test_spreads_are_those_of_paired_differences():
    random, seeds = _runs(6), DRAW.normal(0, 5, (6, 1))
    figures = {("random", 8): {"nll": random + seeds}, ("all data", 60): {"nll": random}}
    figures[("one", 8)] = {"nll": _runs(6) + seeds}
    found = spreads(figures, "nll")
    assert list(found) == [("one", 8)]
    assert found["one", 8].runs < 0.1
    assert found["one", 8].noise == pytest.approx(0.3 * 2**0.5, rel=0.1)
    assert middle([Spread(3, 0, 1), Spread(4, 0, 1)]) == pytest.approx((12.5**0.5, 0, 1))
    assert middle([]) is None


def test_a_single_run_has_a_row_but_no_difference():
    figures = {("random", 8): {"nll": _runs(3)}, ("all data", 60): {"nll": _runs(1)}}
    assert [row.runs for row in table(figures)] == [3, 1]
    assert differences(figures, ["random"], "nll") == []


def test_random_against_itself_is_rejected_about_one_time_in_twenty():
    found = same_against_same(_runs(8), None)
    assert found.splits == 70  # of eight runs, four
    assert found.rejected < 0.3  # splits share runs
    assert 0.03 < found.simulated_rejected < 0.07
    assert same_against_same(_runs(3), Spread(0.1, 0.02, 0.3)).splits == 0


def test_overlap_is_of_runs_side_by_side():
    first = [np.array([0, 1, 2]), np.array([3, 4, 5])]
    second = [np.array([0, 1, 2]), np.array([5, 6, 7])]
    assert mean_jaccard(first, second) == pytest.approx((1 + 1 / 5) / 2)
    assert mean_jaccard(first) == 0
    assert mean_jaccard(first[:1]) == 1
