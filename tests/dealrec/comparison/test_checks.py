"""Sentences about what a comparison can see at all."""

import re

import pytest

from dealrec.comparison.checks import (
    exchanged_sentences,
    foreseen,
    headroom_sentences,
    power_sentences,
)
from dealrec.comparison.results import Exchanged, Power, Spread
from dealrec.config.curve import Figure
from tests.dealrec.comparison.test_report import NO_HEADROOM

HEADROOM = NO_HEADROOM.model_copy(
    update={"gain": Figure(mean=0.1, low=0.07, high=0.13), "found": True}
)


def test_without_headroom_selectors_cannot_be_told_apart():
    (text,) = headroom_sentences(NO_HEADROOM, stopped=True)
    assert text.startswith(
        "This set-up does not teach the model to recommend, so selectors cannot be told apart"
    )
    assert "0.150 [0.120, 0.180]" in text and "0.140 [0.120, 0.160] before" in text
    assert text.endswith(
        "The comparison stopped here. Set `despite_no_headroom` to continue anyway."
    )
    assert (
        "continued because `despite_no_headroom` is set"
        in headroom_sentences(NO_HEADROOM, stopped=False)[0]
    )


def test_with_headroom_there_is_something_to_learn():
    assert headroom_sentences(HEADROOM, stopped=False)[0].startswith("There is something to learn")


def test_headroom_that_was_not_asked_for_is_said():
    assert "was not checked" in headroom_sentences(None, stopped=False)[0]
    in_nll = HEADROOM.model_copy(update={"metric": "nll"})
    assert "`evaluation.candidates` is 0" in headroom_sentences(in_nll, stopped=False)[0]


@pytest.mark.parametrize(
    ("low", "said"), [(0.05, "is worse by 0.12 [0.05, 0.19]"), (-0.05, "is not shown to be worse")]
)
def test_a_coreset_without_its_histories(low, said):
    loss = Figure(mean=0.12, low=low, high=0.19)
    found = Exchanged(selector="recent", budget=64, metric="preference", loss=loss, kept=0.3)
    (text,) = exchanged_sentences(found)
    assert said in text
    assert ("not shown that this coreset teaches" in text) is (low < 0)
    assert exchanged_sentences(None) == []


@pytest.mark.parametrize(
    ("smallest", "needed", "end"),
    [
        (0.05, 3, "before correction."),
        (0.02, 12, "needs 12 runs."),
        (0.001, None, "needs more users."),
    ],
)
def test_power_says_what_could_have_been_shown(smallest, needed, end):
    spread = Spread(users=0.1, runs=0.02, noise=0.4)
    power = Power(
        metric="nll", runs=5, users=300, detectable=0.031, spread=spread, runs_needed=needed
    )
    (text,) = power_sentences(power, smallest)
    assert text.startswith(
        "With 5 runs and 300 users, a difference of 0.0310 nats a title is detected"
    )
    assert text.endswith(end)
    assert power_sentences(None, smallest) == []


def test_a_pilot_foretells_what_more_runs_and_users_show():
    spread = Spread(users=0.1, runs=0.02, noise=0.4)
    pilot = Power(
        metric="nll", runs=3, users=100, detectable=0.1, spread=spread, by_runs={}, runs_needed=9
    )
    texts = [foreseen(pilot, runs, users) for runs, users in ((3, 100), (8, 300))]
    small, large = (float(re.findall(r"\d\.\d+", text)[0]) for text in texts)
    assert large < small / 1.5
    assert texts[1].startswith("Judging by the spread in the pilot, 8 runs and 300 users detect")
