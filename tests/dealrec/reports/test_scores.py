"""The charts of scores, and what they say in words."""

import re

import numpy as np
import pyarrow as pa

from dealrec.reports.charts import density
from dealrec.reports.scores import score_charts, strata_charts
from dealrec.selection.interface import StratumUse


def test_the_density_of_many_samples_has_few_marks_and_loses_none() -> None:
    draw = np.random.default_rng(0)
    influence, effort = draw.standard_cauchy((2, 45_000))
    drawn = density(influence, effort, draw.random(45_000) < 0.02)
    assert drawn.count("<title>") <= 3 * 40 * 26
    cells = re.findall(r'fill="var\(--plot-chosen\)"[^>]*><title>([\d,]+) samples', drawn)
    assert sum(int(count.replace(",", "")) for count in cells) == 45_000


def test_every_chart_says_in_words_what_it_shows() -> None:
    values = np.arange(100.0)
    table = {"influence": values, "effort": -values, "overall": values, "selected": values < 10}
    notes = {chart.title: chart.note for chart in score_charts(pa.table(table))}
    assert "Rank correlation -1.00 over 100 samples." in notes["Influence against effort"]
    assert "49.5 for all samples" in notes["Distribution of overall"]
    assert "4.5 for the selected" in notes["Distribution of overall"]


def test_effort_has_no_charts_where_it_was_not_measured() -> None:
    values = np.arange(100.0)
    table = {"influence": values, "overall": values, "selected": values < 10}
    silent = pa.table({**table, "effort": pa.nulls(100, pa.float64())})
    titles = [chart.title for chart in score_charts(silent)]
    assert titles == ["Distribution of influence", "Distribution of overall"]


def test_a_chart_is_one_labelled_image_that_runs_and_loads_nothing() -> None:
    values = np.arange(100.0)
    table = {"influence": values, "effort": -values, "overall": values, "selected": values < 10}
    for chart in score_charts(pa.table(table)):
        assert chart.svg.startswith('<svg role="img" aria-label="')
        assert not re.search(r"<script|style=|href=|graphics-symbol", chart.svg)


def test_an_empty_stratum_gives_nothing_and_no_strata_have_no_chart() -> None:
    strata = [StratumUse(0, 0, 0.5, available=1200, selected=2), StratumUse(1, 0.5, 1, 0, 0)]
    (chart,) = strata_charts(strata)
    assert chart.note == "Samples were selected from 1 of 2 strata, 2 from each."
    assert ">1,000<" in chart.svg and ">0k<" not in chart.svg
    assert "stratum 1: 0 of 0; at random about 0" in chart.svg
    assert "as many at random" in chart.svg and "samples (logarithmic)" in chart.svg
    assert strata_charts([]) == []
