"""A budget is judged by its value."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dealrec.config import parse_budget, resolve_budget
from dealrec.errors import InputError


@pytest.mark.parametrize(
    ("given_value", "meant"),
    [(1, 1), (2.0, 2), ("1024", 1024), ("0.02", 0.02), (0.5, 0.5), ("1e3", 1000)],
)
def test_a_count_or_a_fraction_is_told_apart_by_value(given_value, meant):
    parsed = parse_budget(given_value)
    assert parsed == meant
    assert isinstance(parsed, type(meant))


@pytest.mark.parametrize(
    "bad", [0, -1, 1.5, True, False, None, "many", "", [1], float("nan"), float("inf"), "1e999"]
)
def test_anything_else_is_refused(bad):
    with pytest.raises(InputError) as caught:
        parse_budget(bad)
    assert caught.value.code == "invalid_budget"
    assert caught.value.errors[0].location == "budget"


@given(st.integers(1, 99), st.integers(1, 10_000))
def test_a_fraction_counts_as_it_was_written(percent, samples):
    assert resolve_budget(percent / 100, samples) == max(1, percent * samples // 100)


def test_a_count_above_the_samples_is_refused():
    assert resolve_budget(10, 10) == 10
    with pytest.raises(InputError, match="11 samples, but the data set has 10") as caught:
        resolve_budget(11, 10)
    assert caught.value.code == "budget_too_large"
