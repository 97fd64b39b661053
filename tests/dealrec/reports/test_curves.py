"""Charts of curves, step by step."""

import re

import pytest

from dealrec.reports.curves import curve_charts


def ticks(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)</text>", svg)


@pytest.mark.parametrize("points", [[(1, 0.0)], [(3, 1e-4)], [(1, 0.0), (2, 0.0)]])
def test_one_step_and_zeros_are_drawn(points):
    (chart,) = curve_charts("Fine-tuning", {"learning_rate": points, "loss": []}, "step")
    assert "step" in ticks(chart.svg)


def test_few_steps_have_a_tick_each_and_small_values_are_written_shortly():
    rates = {"learning_rate": [(1, 5e-5), (2, 1e-4), (3, None)]}
    (chart,) = curve_charts("Fine-tuning", rates, "step")
    shown = ticks(chart.svg)
    assert [one for one in shown if one in "123"] == ["1", "2"]
    assert "5e-5" in shown and "1e-4" in shown
