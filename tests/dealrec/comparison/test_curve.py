"""The curve over budgets: shares with their intervals, and what is said of them."""

import numpy as np
import pytest

from dealrec.comparison.curve import Measured, curve_lines, curve_sentences, draw_curve, reached
from dealrec.config import PruneConfig
from dealrec.config.curve import CurveOf, resolve_target
from dealrec.errors import InputError

OF = CurveOf.of("a" * 64, PruneConfig.parse({"finetune": {}}))
USERS = 300
SHARES = {10: 0.3, 40: 0.8, 100: 0.97, 400: 1.0}


def shares_of(start, found):
    shares = reached(start, found)
    assert shares is not None
    return shares


def simulated(draw, shares=SHARES, *, gain=0.2, runs=5, of_runs=0.01, noise=0.2):
    """[users] of the model as it is, and [runs, users] at each budget."""
    start = draw.normal(0.1, 0.5, USERS)
    taste = draw.normal(1, 0.5, USERS)
    found = [
        start
        + gain * share * taste / taste.mean()
        + draw.normal(0, of_runs, (runs, 1))
        + draw.normal(0, noise, (runs, USERS))
        for share in shares.values()
    ]
    return start, found


@pytest.fixture(scope="module")
def curve():
    start, found = simulated(np.random.default_rng(2))
    metrics = [{"preference": one, "nll": 20 - one} for one in found]
    return draw_curve(
        OF,
        {"preference": start, "nll": 20 - start},
        [Measured(size, figures) for size, figures in zip(SHARES, metrics, strict=True)],
        "preference",
    )


def test_it_goes_from_no_samples_to_all_with_an_interval_at_each_budget(curve):
    assert [(point.samples, point.runs) for point in curve.points] == [
        (0, 0),
        *((size, 5) for size in SHARES),
    ]
    assert curve.full == 400
    for point in curve.points:
        assert set(point.metrics) == {"preference", "nll"}
        for figure in point.metrics.values():
            assert figure.low < figure.mean < figure.high
    shares = [point.share for point in curve.points]
    assert [round(share.mean, 6) for share in (shares[0], shares[-1])] == [0, 1]
    assert (shares[-1].low, shares[-1].high) == pytest.approx((1, 1))
    for share, true in zip(shares[1:], SHARES.values(), strict=True):
        assert share.mean == pytest.approx(true, abs=0.12)


def test_the_smallest_budget_is_one_that_was_measured_and_keeps_the_share_from_there_on(curve):
    assert curve.reaching(0.5).samples == 40
    assert curve.reaching(1.0).samples == 400
    assert curve.surely_reaching(0.5).samples == 40
    assert curve.surely_reaching(0.99).samples == 400
    dip = curve.model_copy(
        update={"points": [*curve.points[:2], curve.points[3], curve.points[1], curve.points[4]]}
    )
    assert dip.reaching(0.5).samples == 400  # what a later budget does not keep is not reached


def test_intervals_of_shares_hold_the_truth_about_as_often_as_they_say():
    held, width, trials = 0, [], 150
    for seed in range(trials):
        start, found = simulated(np.random.default_rng(seed), {40: 0.8, 400: 1.0}, noise=0.1)
        (share, _) = shares_of(start, found)
        held += share.low <= 0.8 <= share.high
        width.append(share.high - share.low)
    assert 0.88 <= held / trials <= 1
    assert np.mean(width) < 0.4


def test_less_nll_is_as_much_a_share_as_more_preference():
    start, found = simulated(np.random.default_rng(4))
    more, less = shares_of(start, found), shares_of(-start, [-one for one in found])
    for one, other in zip(more, less, strict=True):
        assert one.model_dump() == pytest.approx(other.model_dump())


def test_without_a_gain_of_all_samples_there_are_no_shares():
    start, found = simulated(np.random.default_rng(5), gain=0.0)
    assert reached(start, found) is None
    curve = draw_curve(OF, {"nll": start}, [Measured(9, {"nll": found[0]})], "nll")
    assert curve.reaching(0.5) is None and curve.surely_reaching(0.5) is None
    (said,) = curve_sentences(curve)
    assert said.startswith("It cannot be said how many samples are enough")


def test_a_single_run_has_intervals_over_users():
    start, found = simulated(np.random.default_rng(6), runs=1)
    share = shares_of(start, found)[1]
    assert share.low < share.mean < share.high


def test_it_is_told_in_words(curve):
    (said,) = curve_sentences(curve)
    assert "Of the gain in preference from training on all 400 samples" in said
    assert "50 % from 40 samples on (" in said and "nothing is fitted" in said
    lines = curve_lines(curve)
    assert lines[0].startswith("0 samples: preference 0.")
    assert lines[-1].startswith("400 samples: ") and lines[-1].endswith(
        "100 % [100, 100] of the gain from all"
    )
    assert curve_sentences(None) == curve_lines(None) == []


def test_a_target_gives_the_budget_and_says_what_it_followed_from(curve):
    found = resolve_target(0.75, curve)
    assert (found.samples, found.target, found.curve) == (40, 0.75, curve)
    assert found.share == curve.points[2].share
    flat = curve.model_copy(
        update={"points": [one.model_copy(update={"share": None}) for one in curve.points]}
    )
    with pytest.raises(InputError) as caught:
        resolve_target(0.75, flat)
    assert caught.value.code == "no_curve"
