"""The charts of curves: losses and learning rates, step by step."""

import math
from collections.abc import Mapping, Sequence

import altair as alt

from dealrec.reports.charts import ALL, CHOSEN, SIZE, Row, marks, svg
from dealrec.reports.scores import Chart

Points = Sequence[tuple[int, float | None]]
"""A step and the value there, which is ``None`` where it is no number."""
_FEW_STEPS = 6
"""Fewer steps have a tick each: between them there is nothing."""
_SMALL = 0.001
"""Below this, as learning rates are, an axis is labelled as 5e-5: zeros would leave no room for digits."""
_NAMES = {
    "train_loss": "loss of the samples",
    "valid_loss": "loss of held-out samples",
    "validation_preference": "preference of validation users",
}


def curve_charts(stage: str, curves: Mapping[str, Points], unit: str) -> list[Chart]:
    """Draw the curves of a stage: its losses in one chart, and each other figure in its own.

    Args:
        stage: The title of the stage.
        curves: The points by the names of the curves.
        unit: The unit of the steps, such as ``epoch``.
    """
    losses = [name for name in curves if name.endswith("loss")]
    groups = [losses, *([name] for name in curves if name not in losses)]
    charts = []
    for names in groups:
        drawn = {_words(name): _finite(curves[name]) for name in names}
        drawn = {name: points for name, points in drawn.items() if points}
        if drawn:
            title = f"{stage}: {'losses' if len(names) > 1 else _words(names[0])}"
            charts.append(Chart(title, _lines(drawn, unit, title), _in_words(drawn, unit)))
    return charts


def _words(name: str) -> str:
    return _NAMES.get(name, name.replace("_", " "))


def _finite(points: Points) -> list[tuple[int, float]]:
    return [(step, value) for step, value in points if value is not None and math.isfinite(value)]


def _lines(curves: Mapping[str, Sequence[tuple[int, float]]], unit: str, label: str) -> str:
    rows: list[Row] = [
        {"step": step, "value": value, "of": name, "words": f"{unit} {step}: {name} {value:.4g}"}
        for name, points in curves.items()
        for step, value in points
    ]
    colours = alt.Scale(domain=[*curves], range=[CHOSEN, ALL])
    largest = max(abs(value) for points in curves.values() for _step, value in points)
    numbers = "~g" if largest >= _SMALL else "~e"
    steps = [step for points in curves.values() for step, _value in points]
    few = max(steps) - min(steps) < _FEW_STEPS
    ticks = [*range(min(steps), max(steps) + 1)] if few else alt.Undefined
    legend: alt.Legend | None = alt.Legend() if len(curves) > 1 else None
    base = marks().encode(
        x=alt.X(
            "step:Q",
            title=unit,
            scale=alt.Scale(nice=False),
            axis=alt.Axis(format="d", values=ticks),
        ),
        y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(format=numbers)),
        color=alt.Color("of:N", scale=colours, legend=legend),
    )
    points = base.mark_point(filled=True, size=30).encode(description="words:N")
    chart = alt.layer(base.mark_line(strokeWidth=1.5), points).properties(**SIZE)
    return svg(chart, rows, label)


def _in_words(curves: Mapping[str, Sequence[tuple[int, float]]], unit: str) -> str:
    said = []
    for name, points in curves.items():
        (first, begun), (last, ended) = points[0], points[-1]
        place, least = min(points, key=lambda point: point[1])
        if first == last:
            said.append(f"The {name} is {begun:.4g} at {unit} {first}.")
            continue
        if least == max(value for _, value in points):
            said.append(f"The {name} stays at {begun:.4g} from {unit} {first} to {unit} {last}.")
            continue
        said.append(
            f"The {name} goes from {begun:.4g} at {unit} {first} to {ended:.4g} at {unit} {last}; "
            f"the lowest value is {least:.4g} at {unit} {place}."
        )
    return " ".join(said)
