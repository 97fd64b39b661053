"""The numbers behind the plots."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dealrec.app.console.plots import density_plot, histogram_plot, score_plots, strata_plot
from dealrec.app.coresets.schemas import StratumUse
from dealrec.app.scores.schemas import Histogram, ScoreName


def test_the_density_of_many_samples_has_few_shapes_and_loses_none(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    table = {name: draw.standard_cauchy(45_000) for name in ("influence", "effort")}
    pq.write_table(pa.table({**table, "selected": draw.random(45_000) < 0.02}), tmp_path / "s")
    plot = density_plot(tmp_path / "s")
    assert plot is not None and len(plot.boxes) <= 2 * 40 * 26
    cells = [box for box in plot.boxes if box.kind.startswith("shade")]
    assert sum(int(box.title.split()[0].replace(",", "")) for box in cells) == 45_000
    assert all(0 <= box.x <= plot.width and 0 <= box.y <= plot.height for box in plot.boxes)


def test_every_plot_of_scores_says_in_words_what_it_shows(tmp_path: Path) -> None:
    values = np.arange(100.0)
    table = {"influence": values, "effort": -values, "overall": values, "selected": values < 10}
    pq.write_table(pa.table(table), tmp_path / "s")
    plots = {plot.title: plot.summary for plot in score_plots(tmp_path / "s")}
    assert plots["Influence against effort"] == "Rank correlation -1.00 over 100 samples."
    assert "49.5 for all samples" in plots["Distribution of overall"]
    assert "4.5 for the selected" in plots["Distribution of overall"]
    silent = {**table, "effort": pa.nulls(100, pa.float64())}
    pq.write_table(pa.table(silent), tmp_path / "s")
    titles = [plot.title for plot in score_plots(tmp_path / "s")]
    assert titles == ["Distribution of influence", "Distribution of overall"]


def test_bars_stand_on_the_axis_and_the_highest_reaches_the_top() -> None:
    histogram = Histogram(score=ScoreName.OVERALL, edges=[0, 0.5, 1], all=[30, 10], selected=[1, 1])
    bars = [box for box in histogram_plot(histogram).boxes if box.kind == "all"]
    assert bars[0].y == 10
    assert bars[0].height == pytest.approx(3 * bars[1].height, abs=0.1)
    assert all(bar.y + bar.height == pytest.approx(200) for bar in bars)


def test_an_empty_stratum_has_no_bar() -> None:
    strata = [
        StratumUse(index=0, low=0, high=0.5, available=9, selected=2),
        StratumUse(index=1, low=0.5, high=1, available=0, selected=0),
    ]
    plot = strata_plot(strata)
    assert [box.kind for box in plot.boxes] == ["all", "chosen"]
    assert plot.summary == "1 of 2 strata gave samples, 2 each."
    assert strata_plot([]).boxes == ()
