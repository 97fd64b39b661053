"""The plots of a comparison's report, in the style of all reports."""

from collections.abc import Mapping, Sequence

import altair as alt

from dealrec.comparison.curve import shown_share
from dealrec.comparison.results import Cost, FullCost
from dealrec.comparison.wording import Gain, level, words
from dealrec.config.compared import ALL_DATA
from dealrec.config.curve import Curve, Figure
from dealrec.reports.charts import ALL, CHOSEN, Row, marks, svg

WORSE = "#d4643c"
_STANDING = {
    True: ("better", CHOSEN, "triangle-right"),
    False: ("worse", WORSE, "triangle-left"),
    None: ("no difference shown", ALL, "circle"),
}
_ROW = 22
"""Height of a selector's row, in pixels."""
_STAGES = {
    "surrogate": "#8a63c9",
    "influence": "#2f6fde",
    "effort": "#d4643c",
    "difficulty": "#2a9d8f",
    "embedding": "#c2559a",
    "gradients": "#b98a1d",
    "ifd": "#a0522d",
    "titles": "#708238",
    "selection": "#5f7d2e",
    "frozen layers": "#5b9bd5",
    "fine-tuning": "#8a94a6",
}
"""The colour of each kind of work, in order; they differ enough on a light page and on a dark one."""
_UNITS = (("hours", 3600.0, 7200.0), ("minutes", 60.0, 300.0), ("seconds", 1.0, 0.0))
"""Name, its length in seconds, and the longest bar from which it is used, in seconds."""


def gains_chart(
    rows: Sequence[tuple[str, Gain, bool | None]], bounds: tuple[float, float], unit: str
) -> str:
    """Plot gains over random selection (zero) with their intervals, one row for each selector.

    Args:
        rows: Selector, gain, and whether it is shown to be better.
        bounds: Bounds of the axis, the same for every budget of a report.
        unit: The unit of the gain.
    """
    drawn: list[Row] = [
        {
            "selector": name,
            "gain": gain.mean,
            "low": gain.low,
            "high": gain.high,
            "shown": _STANDING[better][0],
            "words": f"{name}: {gain.mean:.3g} ({gain.low:.3g} to {gain.high:.3g})",
        }
        for name, gain, better in rows
    ]
    names, colours, shapes = zip(*_STANDING.values(), strict=True)
    colour = alt.Color("shown:N", scale=alt.Scale(domain=list(names), range=list(colours)))
    base = marks().encode(
        y=alt.Y("selector:N", sort=None, title=None, axis=alt.Axis(labelLimit=150)),
        description="words:N",
    )
    scale = alt.Scale(domain=list(bounds), nice=True, zero=True)
    reach = base.mark_rule(strokeWidth=2).encode(
        x=alt.X(
            "low:Q",
            scale=scale,
            title=f"gain over random selection,{unit}",
            axis=alt.Axis(tickCount=5),
        ),
        x2="high:Q",
        color=colour,
    )
    means = base.mark_point(filled=True, size=70, opacity=1).encode(
        x="gain:Q",
        color=colour,
        shape=alt.Shape("shown:N", scale=alt.Scale(domain=list(names), range=list(shapes))),
    )
    zero = marks().mark_rule(color=ALL, strokeDash=[4, 3], aria=False).encode(x=alt.datum(0.0))
    chart = alt.layer(zero, reach, means).properties(width=300, height=max(2, len(rows)) * _ROW)
    return svg(chart, drawn, "Gain of each selector over random selection")


def budgets_chart(
    levels: Mapping[int, Figure], control: Mapping[int, float], bounds: tuple[float, float]
) -> str:
    """Plot a metric of one selector against the budget, with random selection in grey.

    Args:
        levels: The selector's means by budget. Each interval is that of the difference from random
            selection, shifted to the selector's mean.
        control: Means of random selection by budget.
        bounds: Bounds of the metric's axis, the same for every selector of a report.
    """
    rows: list[Row] = [
        {
            "budget": budget,
            "mean": figure.mean,
            "low": figure.low,
            "high": figure.high,
            "control": control[budget],
            "words": f"{budget:,} samples: {figure.mean:.3g} (random {control[budget]:.3g})",
        }
        for budget, figure in levels.items()
    ]
    axis = alt.Axis(values=sorted(levels), labelAngle=0, format=",d", labelOverlap=True, grid=False)
    base = marks().encode(
        x=alt.X(
            "budget:Q",
            scale=alt.Scale(type="log", nice=False),
            axis=axis,
            title="samples (logarithmic)",
        ),
        description="words:N",
    )
    scale = alt.Scale(domain=list(bounds), zero=False)
    point = {"filled": True, "size": 36, "color": CHOSEN}
    chart = alt.layer(
        base.mark_line(strokeWidth=2, color=ALL).encode(
            y=alt.Y("control:Q", scale=scale, title=None)
        ),
        base.mark_rule(strokeWidth=2, color=CHOSEN).encode(y="low:Q", y2="high:Q"),
        base.mark_line(strokeWidth=1.5, color=CHOSEN, point=point).encode(y="mean:Q"),
    ).properties(width=210, height=130)
    return svg(chart, rows, "A metric at every budget, with random selection in grey")


def curve_chart(curve: Curve, metric: str) -> str:
    """Plot a metric against the number of randomly selected samples, from none to all.

    The axis is logarithmic from the smallest budget on; no samples stand at its left end.
    """
    least = next(point.samples for point in curve.points if point.samples)
    rows: list[Row] = [
        {
            "samples": point.samples,
            "mean": (figure := point.metrics[metric]).mean,
            "low": figure.low,
            "high": figure.high,
            "words": f"{point.samples:,} samples: {level(figure)}"
            + ("" if point.share is None else f", {shown_share(point.share)} of the gain from all"),
        }
        for point in curve.points
    ]
    axis = alt.Axis(
        values=[point.samples for point in curve.points],
        labelAngle=0,
        format=",d",
        labelOverlap=True,
        grid=False,
    )
    base = marks().encode(
        x=alt.X(
            "samples:Q",
            scale=alt.Scale(type="symlog", constant=least, nice=False),
            axis=axis,
            title="randomly selected samples (logarithmic)",
        ),
        description="words:N",
    )
    unit = words(metric)
    scale = alt.Scale(zero=False)
    point = {"filled": True, "size": 60, "color": CHOSEN}
    chart = alt.layer(
        base.mark_rule(strokeWidth=2, color=CHOSEN).encode(y="low:Q", y2="high:Q"),
        base.mark_line(strokeWidth=1.5, color=CHOSEN, point=point).encode(
            y=alt.Y("mean:Q", scale=scale, title=unit.head)
        ),
    ).properties(width=420, height=220)
    return svg(chart, rows, f"{unit.title} of random selection at growing budgets")


def costs_chart(costs: Sequence[Cost], full: FullCost) -> str:
    """Plot the time for every coreset of one budget by kind of work, and for training on all data."""
    order = {name: place for place, name in enumerate(_STAGES)}
    bars = [(cost.selector, ledger(cost)) for cost in costs]
    bars.append((ALL_DATA, {"frozen layers": full.trunk, "fine-tuning": full.finetune}))
    longest = max(full.total, *(cost.total for cost in costs))
    unit, length = next((name, size) for name, size, least in _UNITS if longest >= least)
    rows: list[Row] = [
        {
            "selector": selector,
            "stage": stage,
            "time": seconds / length,
            "order": order[stage],
            "words": f"{selector}, {stage}: {seconds / length:.3g} {unit}",
        }
        for selector, parts in bars
        for stage, seconds in parts.items()
    ]
    spent = {stage for _, parts in bars for stage in parts}
    used = [name for name in _STAGES if name in spent]
    chart = (
        marks()
        .mark_bar()
        .encode(
            y=alt.Y("selector:N", sort=None, title=None, axis=alt.Axis(labelLimit=150)),
            x=alt.X("time:Q", title=unit, axis=alt.Axis(tickCount=5)),
            order="order:Q",
            description="words:N",
            color=alt.Color(
                "stage:N",
                scale=alt.Scale(domain=used, range=[_STAGES[name] for name in used]),
                legend=alt.Legend(columns=3),
            ),
        )
        .properties(width=300, height=len(bars) * _ROW)
    )
    return svg(chart, rows, "Time for each coreset, by stage")


def ledger(cost: Cost) -> dict[str, float]:
    """Return the seconds for a coreset by kind of work, in the order in which the work is done."""
    return {
        **cost.stages,
        "selection": cost.select,
        "frozen layers": cost.trunk,
        "fine-tuning": cost.finetune,
    }
