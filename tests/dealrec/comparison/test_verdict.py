"""The sentences of a verdict claim no more than the comparison has shown."""

from dealrec.comparison.results import Compare, Row
from dealrec.comparison.verdict import findings, verdict
from dealrec.config.curve import Figure

BAR = "stratified_random"


def compare(selector="dealrec", won=0.21, *, better, against="random", budget=128, metric="nll"):
    """A difference of ``won`` in favour of ``selector``, with an interval of ± 0.13."""
    mean = -won if metric == "nll" else won
    return Compare(
        selector=selector,
        against=against,
        budget=budget,
        metric=metric,
        mean=mean,
        low=mean - 0.13,
        high=mean + 0.13,
        p_value=0.002,
        corrected_p_value=0.2 if better is None else 0.004,
        better=better,
    )


def row(selector="dealrec", mean=3.41, *, budget=128, runs=5):
    figure = Figure(mean=mean, low=mean - 0.11, high=mean + 0.11)
    return Row(selector=selector, budget=budget, runs=runs, metrics={"nll": figure})


def said(*differences):
    return verdict(differences, primary="nll", smallest_effect=0.05)


def test_less_nll_is_said_as_a_gain_with_its_interval():
    assert said(compare(better=True)) == (
        "At 128 samples, `dealrec` is better than random selection by 0.21 nats a title [0.08, 0.34]."
    )


def test_better_than_both_controls_names_both():
    text = said(compare(better=True), compare(won=0.15, better=True, against=BAR))
    assert text == (
        "At 128 samples, `dealrec` is better than random selection by 0.21 nats a title [0.08, 0.34] "
        "and than `stratified_random` by 0.15 [0.02, 0.28]."
    )


def test_better_than_random_alone_is_no_win():
    text = said(compare(better=True), compare(won=0.05, better=None, against=BAR))
    assert text == (
        "Better than random selection, but not shown to be better than `stratified_random`: "
        "`dealrec` at 128 samples by 0.21 [0.08, 0.34] and 0.05 [−0.08, 0.18] nats a title."
    )


def test_a_mean_has_the_sign_of_its_interval():
    text = said(compare(better=True), compare(won=-0.03, better=None, against=BAR))
    assert text.endswith("by 0.21 [0.08, 0.34] and −0.03 [−0.16, 0.10] nats a title.")


def test_better_than_one_control_and_worse_than_the_other():
    text = said(compare(better=True), compare(won=-0.2, better=False, against=BAR))
    assert "and −0.20 [−0.33, −0.07] nats a title" in text
    assert text.startswith("Better than random selection, but worse than `stratified_random`: ")


def test_no_difference_says_how_far_the_interval_goes():
    assert said(compare(won=0.05, better=None)) == (
        "No difference from random selection could be shown for `dealrec` at 128 samples: the "
        "interval of its gain is [−0.08, 0.18] nats a title, where positive is better."
    )


def test_no_difference_of_many_names_the_widest_interval():
    wide = compare("goracs", 0.02, better=None).model_copy(update={"low": -0.5, "high": 0.3})
    text = said(compare(won=0.05, better=None), wide)
    assert text.startswith(
        "No difference from random selection could be shown for any selector at 128 samples. The "
        "widest interval of a gain is that of `goracs` at 128 samples: [−0.30, 0.50] nats a title"
    )
    assert "Holm's correction over 2 differences from each control" in text


def test_a_difference_that_only_the_uncorrected_interval_shows_is_none():
    text = said(compare(better=None), compare("d2", 0.01, better=None))
    assert text.startswith("No difference")


def test_level_is_said_only_where_every_control_is():
    level = {"level": True, "runs": 5}
    near = compare(won=0.01, better=None).model_copy(update=level)
    other = compare(won=0.02, better=None, against=BAR)
    assert said(near, other.model_copy(update=level)) == (
        "Level with random selection and `stratified_random`, which means that the difference is "
        "within ±0.05 nats a title: `dealrec` at 128 samples."
    )
    assert said(near, other).startswith("No difference from random selection could be shown")
    (found,) = findings([row()], [near], "nll")
    assert found.endswith("level with random selection (+0.01 [−0.12, 0.14]).")


def test_nothing_is_said_of_fewer_runs_than_a_verdict_takes():
    few = compare(better=None).model_copy(update={"runs": 3})
    assert said(few) == (
        "There is no verdict on `dealrec` at 128 samples, because a verdict needs 5 runs that share "
        "their seeds with those of the controls."
    )
    assert "too few runs to say more" in findings([row()], [few], "nll")[0]


def test_worse_selectors_are_named_with_their_budgets():
    text = said(
        *(compare("effort", -0.3, better=False, budget=budget) for budget in (64, 128)),
        compare("d2", -0.2, better=False, budget=64),
        compare(won=0.01, better=None),
    )
    assert text.startswith(
        "Worse than random selection: `effort` at 64 and 128 samples and `d2` at 64 samples. "
        "No difference from random selection could be shown for `dealrec` at 128 samples: the interval"
    )


def test_what_is_left_open_beside_others_is_counted():
    differences = [compare("effort", -0.3, better=False)]
    differences += [compare(f"s{i}", 0.01, better=None) for i in range(4)]
    assert "in the other 4 of 5 comparisons" in said(*differences)


def test_of_many_winners_the_largest_are_named_and_the_rest_counted():
    winners = [compare(f"s{i}", 0.2 + i / 100, better=True) for i in range(6)]
    stronger = [compare(f"s{i}", 0.2, better=True, against=BAR) for i in range(6)]
    text = said(*winners, *stronger, compare(BAR, 0.0, better=None))
    assert text.startswith(
        "At 128 samples, these are better than random selection and `stratified_random`: "
        "`s5` by 0.25 [0.12, 0.38] and 0.20 [0.07, 0.33] nats a title, `s4` by "
    )
    assert "and 3 more." in text
    assert "`s2`" not in text


def test_each_budget_has_its_own_winners():
    text = said(*(compare(better=True, budget=budget) for budget in (64, 1024)))
    assert "At 64 samples, `dealrec` is better" in text
    assert "At 1,024 samples, `dealrec` is better" in text


def test_random_alone_was_compared_with_nothing():
    assert said().endswith("so there is no verdict.")


def test_that_random_is_worse_than_the_stronger_control_is_said_once():
    text = said(compare(BAR, 0.2, better=True), compare("random", -0.2, better=False, against=BAR))
    assert text == (
        "At 128 samples, `stratified_random` is better than random selection by 0.20 nats a title "
        "[0.07, 0.33]."
    )


def test_a_finding_has_level_gain_and_corrected_probability():
    found = findings(
        [row("random", 3.62, runs=8), row(), row("all data", 3.1, budget=5000, runs=2)],
        [
            compare(better=True),
            compare(won=0.05, better=None, against=BAR),
            compare(metric="recall@10", won=0.2, better=True),
            compare(metric="gain", won=-0.2, better=False),
        ],
        "nll",
    )
    assert found == [
        "`random` at 128 samples: 3.62 [3.51, 3.73] nats a title over 8 runs: the control.",
        (
            "`dealrec` at 128 samples: 3.41 [3.30, 3.52] nats a title over 5 runs; better than random "
            "selection by 0.21 [0.08, 0.34] (p = 0.0040) and no difference from `stratified_random` "
            "could be shown (+0.05 [−0.08, 0.18], p = 0.20). Better than random selection in Recall@10. "
            "Worse than random selection in gain of the own history."
        ),
        "Training on all data at 5,000 samples: 3.10 [2.99, 3.21] nats a title over 2 runs.",
    ]


def test_a_finding_of_a_worse_selector_names_the_loss():
    found = findings([row()], [compare(won=-0.3, better=False)], "nll")
    assert "worse than random selection by 0.30 [0.17, 0.43] (p = 0.0040)" in found[0]


def test_a_finding_says_where_the_correction_decided():
    found = findings([row()], [compare(better=None)], "nll")
    assert (
        "could be shown (+0.21 [0.08, 0.34], p = 0.20; without the correction there would be one)"
        in found[0]
    )
