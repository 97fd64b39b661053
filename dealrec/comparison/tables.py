"""Makes the tables of a comparison's report, with numbers as text and gains instead of differences."""

from collections.abc import Sequence
from dataclasses import dataclass

from dealrec.comparison.results import LESS_IS_BETTER, Compare, ComparisonReport, Row
from dealrec.comparison.wording import decimals, gain, interval, number, probability, words
from dealrec.config.compared import EXCHANGED
from dealrec.config.comparison import CONTROL
from dealrec.config.curve import Figure

UNTRAINED = "not trained"
"""The name of the model before training."""


@dataclass(frozen=True)
class Cell:
    """A figure, its interval, and whether it is shown to be better."""

    text: str
    interval: str = ""
    better: bool | None = None
    """Whether a difference, or a mean against random selection, is shown to be better."""
    p_value: str = ""
    best: bool = False
    """Whether this is the best mean of its table, which need not be shown to be better than any other."""


@dataclass(frozen=True)
class Line:
    """A selector's row; a cell is ``None`` if its column does not apply."""

    name: str
    runs: int | None
    cells: tuple[Cell | None, ...]
    reference: bool = False
    """Whether the row is not a selector but the model without an adapter, or trained on all data."""


@dataclass(frozen=True)
class Table:
    """The table of one budget."""

    heads: tuple[str, ...]
    lines: tuple[Line, ...]


def controls(report: ComparisonReport) -> list[str]:
    """Return the labels that others are compared with, random selection first."""
    found = dict.fromkeys(row.against for row in report.differences)
    return sorted(found, key=lambda label: label != CONTROL)


def primary_table(report: ComparisonReport, budget: int) -> Table:
    """Make the table of the primary metric, the gains over the controls and the other metrics, best first."""
    against, primary = controls(report), report.primary
    compares = _by_place(report)
    lines = []
    for row in _rows(report, budget):
        gains = [_gained(compares.get((row.selector, budget, primary, one))) for one in against]
        rest = [_level(row.metrics[name]) for name in _beside(report)]
        level = _level(row.metrics[primary], best=row is _best(report, budget, primary))
        lines.append(Line(row.selector, row.runs, (level, *gains, *rest)))
    empty = (None,) * len(against)
    lines += [
        Line(line.name, line.runs, (line.cells[0], *empty, *line.cells[1:]), reference=True)
        for line in _references(report, budget, (primary, *_beside(report)))
    ]
    heads = (
        _head(primary),
        *(f"gain over {one}" for one in against),
        *(_head(name) for name in _beside(report)),
    )
    return Table(heads, tuple(lines))


def ranking_metrics(report: ComparisonReport) -> list[str]:
    """Return ``recall@5`` and so on; nothing if the catalogue was not ranked."""
    return [name for name in report.table[0].metrics if name.startswith(("recall@", "ndcg@"))]


def ranking_table(report: ComparisonReport, budget: int) -> Table:
    """Make the table of ranking metrics, and mark those that are shown to differ from random selection."""
    names, compares = ranking_metrics(report), _by_place(report)
    lines = []
    for row in _rows(report, budget):
        cells = []
        for name in names:
            found = compares.get((row.selector, budget, name, CONTROL))
            best = row is _best(report, budget, name)
            cells.append(_level(row.metrics[name], found.better if found else None, best=best))
        lines.append(Line(row.selector, row.runs, tuple(cells)))
    lines += _references(report, budget, names)
    return Table(tuple(words(name).title for name in names), tuple(lines))


def reached(report: ComparisonReport) -> tuple[float, float]:
    """Return the bounds of all intervals of gains over random selection in the primary metric."""
    found = [gain(row) for row in report.differences if _is_gain(report, row)]
    ends = [0.0, *(end for one in found for end in (one.low, one.high))]
    return min(ends), max(ends)


def gains(report: ComparisonReport, budget: int) -> list[Compare]:
    """Return the differences from random selection in the primary metric, the largest gain first."""
    found = [row for row in report.differences if _is_gain(report, row) and row.budget == budget]
    return sorted(found, key=lambda row: -gain(row).mean)


def _is_gain(report: ComparisonReport, row: Compare) -> bool:
    return row.metric == report.primary and row.against == CONTROL


def _rows(report: ComparisonReport, budget: int) -> list[Row]:
    labels = {selector.label for selector in report.selectors}
    rows = [row for row in report.table if row.budget == budget and row.selector in labels]
    sign = 1 if report.primary in LESS_IS_BETTER else -1
    return sorted(rows, key=lambda row: sign * row.metrics[report.primary].mean)


def _best(report: ComparisonReport, budget: int, metric: str) -> Row | None:
    """Return the row with the best mean; ``None`` if all are equal, as in a ranking that found nothing."""
    rows = _rows(report, budget)
    if len(rows) > 1 and len({row.metrics[metric].mean for row in rows}) == 1:
        return None
    sign = 1 if metric in LESS_IS_BETTER else -1
    return min(rows, key=lambda row: sign * row.metrics[metric].mean)


def _beside(report: ComparisonReport) -> list[str]:
    """Return the metrics that are neither the primary one nor ranking metrics."""
    ranking = ranking_metrics(report)
    return [name for name in report.table[0].metrics if name not in (report.primary, *ranking)]


def _references(report: ComparisonReport, budget: int, names: Sequence[str]) -> list[Line]:
    """Make the rows that are not selectors: the untrained model, all data, and exchanged histories."""
    untrained = [
        Cell(number(report.untrained[name], 2 if name in LESS_IS_BETTER else 4))
        if name in report.untrained
        else None
        for name in names
    ]
    lines = [Line(UNTRAINED, None, tuple(untrained), reference=True)]
    labels = {selector.label for selector in report.selectors}
    for row in report.table:
        if row.selector not in labels and (row.selector != EXCHANGED or row.budget == budget):
            cells = tuple(_level(row.metrics[name]) for name in names)
            lines.append(Line(row.selector, row.runs, cells, reference=True))
    return lines


def _head(metric: str) -> str:
    return f"{words(metric).head}: {'less' if metric in LESS_IS_BETTER else 'more'} is better"


def _by_place(report: ComparisonReport) -> dict[tuple[str, int, str, str], Compare]:
    return {(row.selector, row.budget, row.metric, row.against): row for row in report.differences}


def _level(figure: Figure, better: bool | None = None, *, best: bool = False) -> Cell:
    text = number(figure.mean, decimals(figure.low, figure.high))
    return Cell(text, interval(figure.low, figure.high), better, best=best)


def _gained(compare: Compare | None) -> Cell | None:
    if compare is None:
        return None
    found = gain(compare)
    corrected = probability(compare.corrected_p_value)
    return Cell(found.signed, found.interval, compare.better, corrected)
