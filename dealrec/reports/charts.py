"""The charts of reports and of the console: Vega-Lite draws them as SVG without a script.

Colours are CSS variables of the page (``--plot-all``, ``--plot-chosen``, ``--plot-mark``), and texts
have the colour of the page's own text, so that one drawing suits light and dark pages.
"""

import contextlib
import importlib
import re
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

import altair as alt
import numpy as np
import numpy.typing as npt
import vl_convert

from dealrec.coresets.landscape import as_many_at_random
from dealrec.selection.interface import StratumUse

# Altair asks whether somebody has loaded pandas, and looks into it. Arrow loads it in whatever thread first
# makes a table, so Altair could find it half loaded. Loading it here waits until it is whole.
with contextlib.suppress(ModuleNotFoundError):
    importlib.import_module("pandas")

Float64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Row = Mapping[str, float | str]
"""The data of one mark, by the field names in the chart's encodings."""

ALL, CHOSEN, MARK = "var(--plot-all)", "var(--plot-chosen)", "var(--plot-mark)"
AT_RANDOM = "as many at random"
_TOLD = ("of all samples", "of the selected", "of as many drawn at random")
_BINS = 40
_CELLS = (40, 26)
_TAIL = 0.25
"""Percent of the samples at each end that are folded into the outermost bins or cells."""
SIZE = {"width": 420, "height": 190}
FEW_STRATA = 15
"""So many strata fit a chart of the usual size; that of more is broad."""
_ROWS = "rows"
_CONFIG = {
    "background": "transparent",
    # A browser's font may be wider than that with which labels were measured.
    "padding": {"left": 14, "top": 5, "right": 10, "bottom": 5},
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "aria": False,
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
    "axisX": {"tickCount": 6, "labelOverlap": True, "labelSeparation": 12},
    "axisY": {"titlePadding": 12},
    "legend": {
        "aria": False,
        "labelColor": "currentColor",
        "titleColor": "currentColor",
        "orient": "top",
        "title": None,
        "labelFontSize": 12,
        "columnPadding": 28,
        "symbolOpacity": 1,
        "symbolStrokeWidth": 0,
    },
    "header": {"labelColor": "currentColor", "titleColor": "currentColor"},
}
_LABELLED = re.compile(
    r'<path aria-label="([^"]*)" role="graphics-symbol" aria-roledescription="[^"]*"([^>]*)/>'
)
_ARIA = re.compile(r' (?:role="graphics-[a-z]+"|aria-roledescription="[^"]*")')


def histogram(values: Float64, selected: Mask, title: str) -> str:
    """Draw the histogram of a score over all samples, the selected ones, and as many random ones.

    Args:
        values: [n] scores.
        selected: [n] whether each sample is selected.
        title: Title of the axis of scores.
    """
    edges = _edges(values, _BINS)
    parts = {
        "all samples": values,
        "selected": values[selected],
        AT_RANDOM: values[as_many_at_random(selected)],
    }
    shares = {
        name: np.histogram(np.clip(part, edges[0], edges[-1]), edges)[0] / max(1, len(part))
        for name, part in parts.items()
    }
    rows: list[Row] = []
    for place, (low, high) in enumerate(pairwise(edges.tolist())):
        here = {name: float(share[place]) for name, share in shares.items()}
        told = ", ".join(
            f"{share:.2%} {name}" for share, name in zip(here.values(), _TOLD, strict=True)
        )
        words = f"{low:.3g} to {high:.3g}: {told}"
        rows += [
            {"low": low, "high": high, "share": share, "of": name, "words": words}
            for name, share in here.items()
        ]
    bars = marks().encode(
        x=alt.X("low:Q", title=title, bin="binned", scale=alt.Scale(nice=False, zero=False)),
        x2="high:Q",
        y=alt.Y("share:Q", title="share of samples", axis=alt.Axis(format="%"), stack=None),
        color=_colours("all samples", "selected"),
        description="words:N",
    )
    every = bars.mark_bar(opacity=0.5).transform_filter("datum.of == 'all samples'")
    taken = bars.mark_bar(opacity=0.55).transform_filter("datum.of == 'selected'")
    at_random = (
        bars.mark_line(interpolate="step-after", strokeWidth=1.5, aria=False)
        .encode(x2=alt.Undefined)
        .transform_filter(f"datum.of == '{AT_RANDOM}'")
    )
    return svg(
        alt.layer(every, taken, at_random).properties(**SIZE), rows, f"Distribution of the {title}"
    )


def strata_chart(strata: Sequence[StratumUse]) -> str:
    """Draw the number of available and of selected samples of every stratum."""
    share = sum(use.selected for use in strata) / max(1, sum(use.available for use in strata))
    rows: list[Row] = [
        {
            "stratum": use.index,
            "count": count,
            "of": name,
            "words": f"stratum {use.index}: {use.selected:,} of {use.available:,}; at random about "
            f"{share * use.available:.3g}",
        }
        for use in strata
        for name, count in (
            ("available", use.available),
            ("selected", use.selected),
            (AT_RANDOM, share * use.available),
        )
    ]
    ticks = [use.index for use in strata][:: max(1, len(strata) // 10)]
    bars = marks().encode(
        x=alt.X(
            "stratum:O",
            title="stratum, from the lowest overall score to the highest",
            axis=alt.Axis(values=ticks, labelAngle=0),
        ),
        y=alt.Y(
            "count:Q",
            title="samples (logarithmic)",
            scale=alt.Scale(type="symlog"),
            axis=alt.Axis(values=log_ticks(max(use.available for use in strata)), format=",d"),
            stack=None,
        ),
        color=_colours("available", "selected"),
        description="words:N",
    )
    available = bars.transform_filter("datum.of == 'available'").mark_bar(opacity=0.5)
    chosen = bars.transform_filter("datum.of == 'selected'").mark_bar(opacity=0.55)
    at_random = bars.transform_filter(f"datum.of == '{AT_RANDOM}'").mark_tick(thickness=2)
    width = 900 if len(strata) > FEW_STRATA else SIZE["width"]
    chart = alt.layer(available, chosen, at_random).properties(**SIZE | {"width": width})
    return svg(chart, rows, "Samples in each stratum, and samples selected from it")


def density(influence: Float64, effort: Float64, selected: Mask) -> str:
    """Draw the number of samples by influence and effort, [n] each.

    Selected samples are marked, and as many random ones beside them.
    """
    edges = [_edges(values, bins) for values, bins in zip((influence, effort), _CELLS, strict=True)]
    x, y = (
        np.clip(values, edge[0], edge[-1])
        for values, edge in zip((influence, effort), edges, strict=True)
    )
    counts = np.histogram2d(x, y, edges)[0].astype(int)
    taken = np.histogram2d(x[selected], y[selected], edges)[0].astype(int)
    random = as_many_at_random(selected)
    drawn = np.histogram2d(x[random], y[random], edges)[0].astype(int)
    many, chosen = "samples", "selected"
    rows: list[Row] = []
    for i, j in zip(*np.nonzero(counts), strict=True):
        (left, right), (low, high) = edges[0][i : i + 2].tolist(), edges[1][j : j + 2].tolist()
        words = (
            f"{counts[i, j]:,} samples at influence {left:.3g} to {right:.3g} and effort {low:.3g} to "
            f"{high:.3g}: {taken[i, j]:,} selected, {drawn[i, j]:,} {AT_RANDOM}"
        )
        corners = {"x": left, "x2": right, "y": low, "y2": high}
        rows.append({**corners, "samples": int(counts[i, j]), "of": many, "words": words})
        middle = {"x": (left + right) / 2, "y": (low + high) / 2}
        for name, some in ((chosen, taken), (AT_RANDOM, drawn)):
            if some[i, j]:
                share = float(some[i, j] / counts[i, j])
                rows.append({**middle, "share": share, "of": name, "words": words})
    exact = alt.Scale(nice=False, zero=False)
    base = marks().encode(
        x=alt.X("x:Q", bin="binned", title="influence", scale=exact),
        y=alt.Y("y:Q", bin="binned", title="effort", scale=exact),
        color=alt.Color(
            "of:N",
            scale=alt.Scale(domain=[many, chosen, AT_RANDOM], range=[CHOSEN, MARK, "currentColor"]),
        ),
        description="words:N",
    )
    shade = alt.Scale(type="log", domain=[1, max(2, int(counts.max()))], range=[0.12, 0.85])
    cells = base.mark_rect().encode(
        x2="x2:Q", y2="y2:Q", opacity=alt.Opacity("samples:Q", scale=shade, legend=None)
    )
    side = alt.Scale(domain=[0, 1], range=[4, 30])
    size = alt.Size("share:Q", scale=side, legend=None)
    points = base.mark_square(opacity=1).encode(size=size)
    circles = base.mark_point(shape="circle", strokeWidth=1, opacity=0.9).encode(size=size)
    chart = alt.layer(
        cells.transform_filter(f"datum.of == '{many}'"),
        points.transform_filter(f"datum.of == '{chosen}'"),
        circles.transform_filter(f"datum.of == '{AT_RANDOM}'"),
    )
    return svg(chart.properties(**SIZE), rows, "Number of samples by influence and effort")


def log_ticks(highest: float) -> list[int]:
    """Ticks of a logarithmic axis that begins at zero: 0, 1, 10, 100, … up to ``highest``.

    Examples:
        >>> log_ticks(450)
        [0, 1, 10, 100]
    """
    return [0, *(10**power for power in range(len(str(int(max(1, highest))))))]


def marks() -> alt.Chart:
    """Make a chart of the rows that :func:`svg` gets."""
    return alt.Chart(alt.NamedData(_ROWS))


def svg(chart: alt.TopLevelMixin, rows: Sequence[Row], label: str) -> str:
    """Draw ``chart`` over ``rows`` as one labelled image.

    The rows join the specification after Altair has validated it: validating a thousand of them
    takes longer than drawing them. Static SVG has no tooltips, so each mark's description becomes
    its ``<title>``, which browsers show under the pointer.
    """
    specification = {**chart.to_dict(), "datasets": {_ROWS: list(rows)}, "config": _CONFIG}
    drawn: str = vl_convert.vegalite_to_svg(specification)
    drawn = _ARIA.sub("", _LABELLED.sub(r"<path\2><title>\1</title></path>", drawn))
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)


def _colours(first: str, second: str) -> alt.Color:
    scale = alt.Scale(domain=[first, second, AT_RANDOM], range=[ALL, CHOSEN, MARK])
    return alt.Color("of:N", scale=scale)


def _edges(values: Float64, bins: int) -> Float64:
    """[bins + 1] ascending edges, which leave out a small part of the samples at each end."""
    low, high = np.percentile(values, [_TAIL, 100 - _TAIL])
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1)
