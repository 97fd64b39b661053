"""Charts of curves, step by step."""

import os
import re
import subprocess
import sys

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


def test_words_say_that_a_curve_is_flat_or_has_one_point():
    rates = {"rate": [(1, 1e-4), (2, 1e-4)], "loss": [(1, 0.5)]}
    told = " ".join(chart.note for chart in curve_charts("Fine-tuning", rates, "step"))
    assert "The rate stays at 0.0001 from step 1 to step 2." in told
    assert "The loss is 0.5 at step 1." in told


SLOW_PANDAS = """
import time
time.sleep(2)
def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {})
"""
PROGRAM = """
import threading, time
thread = threading.Thread(target=__import__, args=("pandas",))
thread.start()
from dealrec.reports.curves import curve_charts
assert curve_charts("Fine-tuning", {"loss": [(1, 0.5), (2, 0.4)]}, "step")
"""


def test_another_thread_may_load_pandas_while_the_first_chart_is_drawn(tmp_path):
    (tmp_path / "pandas.py").write_text(SLOW_PANDAS)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", PROGRAM]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": path}, timeout=60)
