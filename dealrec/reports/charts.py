"""The plots of a report, drawn by Vega-Lite into SVG that needs no script and no network."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import vl_convert

from dealrec.selection.interface import StratumUse

Float64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

ALL, CHOSEN = "#8a94a6", "#2f6fde"
_BINS = 40
_TAIL = 0.25
_POINTS = 1500
"""Percent at each end that a histogram folds into its outermost bins."""
_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "tickColor": "currentColor",
        "domainColor": "currentColor",
        "gridColor": "currentColor",
        "gridOpacity": 0.12,
        "titleFontWeight": "normal",
        "labelFontSize": 11,
        "titleFontSize": 12,
    },
    "legend": {
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "orient": "top",
        "title": None,
        "labelFontSize": 12,
        "symbolOpacity": 1,
        "symbolStrokeWidth": 0,
    },
    "header": {"labelColor": "currentColor", "titleColor": "currentColor"},
}


def histogram(values: Float64, selected: Mask, title: str) -> str:
    """Share of all samples, and of the selected ones, over bins of a score ([n] each)."""
    low, high = np.percentile(values, [_TAIL, 100 - _TAIL])
    if low == high:
        low, high = values.min() - 0.5, values.max() + 0.5
    edges = np.linspace(low, high, _BINS + 1)
    rows: dict[str, list[Any]] = {"low": [], "high": [], "share": [], "of": []}
    for name, part in (("all samples", values), ("selected", values[selected])):
        counts, _ = np.histogram(np.clip(part, low, high), edges)
        rows["low"] += edges[:-1].tolist()
        rows["high"] += edges[1:].tolist()
        rows["share"] += (counts / max(1, len(part))).tolist()
        rows["of"] += [name] * _BINS
    base = alt.Chart(data(rows)).encode(
        x=alt.X("low:Q", title=title, bin="binned", scale=alt.Scale(nice=False, zero=False)),
        x2="high:Q",
        y=alt.Y("share:Q", title="share of samples", axis=alt.Axis(format="%"), stack=None),
        color=_two_colours(),
    )
    of_all = base.mark_bar(opacity=0.45).transform_filter("datum.of == 'all samples'")
    taken = base.mark_bar(fillOpacity=0.25, stroke=CHOSEN, strokeWidth=1).transform_filter(
        "datum.of == 'selected'"
    )
    return svg(alt.layer(of_all, taken).properties(width=420, height=190))


def strata_chart(strata: Sequence[StratumUse]) -> str:
    """How many samples every stratum had, and how many it gave."""
    rows: dict[str, list[Any]] = {"stratum": [], "count": [], "of": []}
    for use in strata:
        for name, count in (("available", use.available), ("selected", use.selected)):
            rows["stratum"].append(use.index)
            rows["count"].append(count)
            rows["of"].append(name)
    ticks = list(range(0, len(strata), max(1, len(strata) // 10)))
    chart = (
        alt.Chart(data(rows))
        .mark_bar()
        .encode(
            x=alt.X(
                "stratum:O",
                title="stratum, from the lowest overall score to the highest",
                axis=alt.Axis(values=ticks, labelAngle=0),
            ),
            y=alt.Y("count:Q", title="samples", scale=alt.Scale(type="symlog")),
            color=_two_colours(("available", "selected")),
        )
    )
    available = chart.transform_filter("datum.of == 'available'").mark_bar(opacity=0.45)
    chosen = chart.transform_filter("datum.of == 'selected'").mark_bar(opacity=0.95)
    return svg(alt.layer(available, chosen).properties(width=900, height=200))


def scatter(influence: Float64, effort: Float64, selected: Mask) -> str:
    """Influence against effort: an even thinning of all samples, the selected ones on top."""
    rows: dict[str, list[Any]] = {"influence": [], "effort": [], "of": []}
    for name, mask in (("all samples", ~selected), ("selected", selected)):
        taken = np.flatnonzero(mask)
        taken = taken[:: max(1, -(-len(taken) // _POINTS))]
        rows["influence"] += influence[taken].tolist()
        rows["effort"] += effort[taken].tolist()
        rows["of"] += [name] * len(taken)
    bounds = [
        np.percentile(values, [_TAIL, 100 - _TAIL]).tolist() for values in (influence, effort)
    ]
    chart = (
        alt.Chart(data(rows))
        .mark_circle(size=14, clip=True)
        .encode(
            x=alt.X("influence:Q", scale=alt.Scale(domain=bounds[0])),
            y=alt.Y("effort:Q", scale=alt.Scale(domain=bounds[1])),
            color=_two_colours(),
            opacity=alt.condition("datum.of == 'selected'", alt.value(0.9), alt.value(0.3)),
        )
        .properties(width=420, height=260)
    )
    return svg(chart)


def _two_colours(names: tuple[str, str] = ("all samples", "selected")) -> alt.Color:
    return alt.Color("of:N", scale=alt.Scale(domain=list(names), range=[ALL, CHOSEN]))


def data(rows: dict[str, list[Any]]) -> alt.Data:
    """Columns of equal length, as a chart reads them."""
    return alt.Data(values=pa.table(rows).to_pylist())


def svg(chart: alt.TopLevelMixin) -> str:
    """``chart`` in the look of all reports, its text in the colour of the page's."""
    specification = {**chart.to_dict(), "config": _CONFIG}
    drawn: str = vl_convert.vegalite_to_svg(specification)
    return drawn.replace("<svg ", '<svg role="img" ', 1)
