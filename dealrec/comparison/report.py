"""The report of a comparison: one self-contained HTML page."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from dealrec.comparison.charts import budgets_chart, costs_chart, curve_chart, gains_chart, ledger
from dealrec.comparison.curve import shown_share
from dealrec.comparison.results import LESS_IS_BETTER, ComparisonReport, Cost, Overlap
from dealrec.comparison.tables import (
    Table,
    controls,
    gains,
    primary_table,
    ranking_metrics,
    ranking_table,
    reached,
)
from dealrec.comparison.wording import gain, level, number, words
from dealrec.config.comparison import CONTROL, ComparisonConfig
from dealrec.config.curve import Curve, Figure
from dealrec.reports.pages import write_page

_SHADES = 10


@dataclass(frozen=True)
class _AtBudget:
    """The parts of the page that are about one budget."""

    budget: int
    primary: Table
    gains_svg: str
    """Empty if random selection was compared with nothing."""
    ranking: Table | None
    overlap: Overlap
    costs: list[Cost]
    costs_svg: str


@dataclass(frozen=True)
class _Panel:
    selector: str
    svg: str


@dataclass(frozen=True)
class _Curve:
    """The curve as a table, and a plot of each metric."""

    heads: list[str]
    lines: list[tuple[str, int, list[str], str]]
    panels: list[_Panel]


def write_comparison_report(report: ComparisonReport, out: Path) -> None:
    """Write the page ``out``, which contains its plots as SVG and loads nothing from the network."""
    config = ComparisonConfig.model_validate(report.config)
    trained = Counter(run.selector for run in report.runs)
    write_page(
        out,
        "dealrec.comparison",
        "comparison.html.j2",
        report=report,
        budgets=[] if report.stopped else [_at(report, budget) for budget in report.budgets],
        panels=_panels(report),
        controls=controls(report),
        primary=words(report.primary),
        less=report.primary in LESS_IS_BETTER,
        headroom=_headroom(report),
        curve=_curve(report.curve),
        finetune=config.config.finetune,
        trained=trained.total(),
        most_saved=max(report.costs, key=lambda cost: cost.saved, default=None),
        stages=_stages(report.costs),
        ledger=ledger,
        shade=_shade,
        percent=_percent,
        duration=_duration,
        config=json.dumps(report.config, indent=2),
    )


def _at(report: ComparisonReport, budget: int) -> _AtBudget:
    found = gains(report, budget)
    costs = [cost for cost in report.costs if cost.budget == budget]
    rows = [(row.selector, gain(row), row.better) for row in found]
    return _AtBudget(
        budget,
        primary_table(report, budget),
        gains_chart(rows, reached(report), words(report.primary).unit) if rows else "",
        ranking_table(report, budget) if ranking_metrics(report) else None,
        next(one for one in report.overlap if one.budget == budget),
        costs,
        costs_chart(costs, report.full_cost),
    )


def _panels(report: ComparisonReport) -> list[_Panel]:
    """Plot the primary metric against the budget for each selector but random, if budgets differ."""
    if len(report.budgets) < 2:
        return []
    levels: dict[str, dict[int, Figure]] = {}
    control: dict[int, float] = {}
    for row in report.differences:
        if (row.metric, row.against) == (report.primary, CONTROL):
            at = _control_mean(report, row.budget)
            control[row.budget] = at
            levels.setdefault(row.selector, {})[row.budget] = Figure(
                mean=at + row.mean, low=at + row.low, high=at + row.high
            )
    ends = [
        end for found in levels.values() for one in found.values() for end in (one.low, one.high)
    ]
    return [
        _Panel(label, budgets_chart(found, control, (min(ends), max(ends))))
        for label, found in levels.items()
    ]


def _headroom(report: ComparisonReport) -> list[tuple[str, str]]:
    """Return the rows of the table about headroom; none if headroom was not checked."""
    found = report.headroom
    if found is None:
        return []
    rows = [("the model before training", found.untrained)]
    rows += [] if found.surrogate is None else [("the surrogate of the first run", found.surrogate)]
    rows += [
        (f"trained on {found.samples:,} samples", found.trained),
        ("gain from this training", found.gain),
    ]
    return [(name, level(figure)) for name, figure in rows]


def _curve(curve: Curve | None) -> _Curve | None:
    if curve is None:
        return None
    names = list(curve.points[0].metrics)
    lines = [
        (
            f"{point.samples:,}",
            point.runs,
            [level(point.metrics[name]) for name in names],
            "–" if point.share is None else shown_share(point.share),
        )
        for point in curve.points
    ]
    panels = [_Panel(words(name).title, curve_chart(curve, name)) for name in names]
    return _Curve([words(name).head for name in names], lines, panels)


def _control_mean(report: ComparisonReport, budget: int) -> float:
    rows = (row for row in report.table if (row.selector, row.budget) == (CONTROL, budget))
    return next(rows).metrics[report.primary].mean


def _stages(costs: list[Cost]) -> list[str]:
    """Return every kind of work on which time was spent, in order."""
    if not costs:
        return []
    longest = max(costs, key=lambda cost: len(cost.stages))
    known = dict.fromkeys(name for cost in (longest, *costs) for name in cost.stages)
    return [*known, *(name for name in ledger(longest) if name not in known)]


def _shade(share: float) -> int:
    """Return 0 to 10 for a share in [0, 1]."""
    return round(share * _SHADES)


def _percent(share: float) -> str:
    return f"{number(100 * share, 1)} %"


def _duration(seconds: float) -> str:
    """Format seconds as ``0.02 s``, ``95 s``, ``12.5 min`` or ``2.31 h``."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    if seconds < 7200:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.2f} h"
