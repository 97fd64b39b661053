"""The charts of a coreset's scores, each with a title and a note in words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dealrec.metrics.correlation import spearman
from dealrec.reports.charts import Float64, Mask, density, histogram, strata_chart
from dealrec.selection.interface import StratumUse

_TITLES = {
    "influence": "influence on the target risk",
    "effort": "gradient norm of the language model",
    "overall": "overall score",
}
_MEANINGS = {
    "influence": "How much the risk would rise if a sample were left out. ",
    "effort": "How hard the language model must work to learn a sample. ",
    "overall": "",
}
_CELLS = (
    "Darker cells hold more samples. A larger square means that a larger share of the cell was "
    "selected; a larger circle, that a larger share is in a random selection of the same size. The "
    "outermost cells hold the tails."
)


@dataclass(frozen=True)
class Chart:
    """A chart with its title and its description in words."""

    title: str
    svg: str
    note: str
    """The chart's content in words, also for readers who do not see it."""


def score_charts(scores: pa.Table, overall: str = _TITLES["overall"]) -> list[Chart]:
    """Draw the charts of a ``scores.parquet``; those of effort and influence only if there is any.

    ``overall`` is the title of the overall score's axis.
    """
    charts = []
    for name, title in {**_TITLES, "overall": overall}.items():
        measured = scores.filter(scores[name].is_valid())
        if len(measured):
            values, selected = measured[name].to_numpy(), _mask(measured)
            drawn = histogram(values, selected, title)
            note = _MEANINGS[name] + _quartiles(values, selected)
            charts.append(Chart(f"Distribution of {name}", drawn, note))
    measured = scores.filter(scores["effort"].is_valid())
    if len(measured) and not measured["influence"].null_count:
        influence, effort = measured["influence"].to_numpy(), measured["effort"].to_numpy()
        drawn = density(influence, effort, _mask(measured))
        note = f"{_agreement(influence, effort)} {_CELLS}"
        charts.append(Chart("Influence against effort", drawn, note))
    return charts


def strata_charts(strata: Sequence[StratumUse]) -> list[Chart]:
    """Draw the chart of the strata, if the selector cuts more than one."""
    if len(strata) < 2:
        return []
    return [Chart("Strata", strata_chart(strata), _quotas(strata))]


def _mask(scores: pa.Table) -> Mask:
    selected: Mask = scores["selected"].to_numpy()
    return selected


def _quartiles(values: Float64, selected: Mask) -> str:
    parts = []
    for words, some in (("all samples", values), ("the selected", values[selected])):
        if len(some):
            low, middle, high = np.quantile(some, [0.25, 0.5, 0.75])
            parts.append(f"{middle:.3g} for {words} (middle half {low:.3g} to {high:.3g})")
    return f"Median {', '.join(parts)}. The outermost bins hold the tails."


def _agreement(influence: Float64, effort: Float64) -> str:
    found = spearman(influence, effort)
    if found is None:
        return "One of the two scores is the same for every sample."
    return f"Rank correlation {found:.2f} over {len(influence):,} samples."


def _quotas(strata: Sequence[StratumUse]) -> str:
    quotas = [use.selected for use in strata if use.selected]
    if not quotas:
        return "No sample was selected from any stratum."
    least, most = min(quotas), max(quotas)
    span = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    return f"Samples were selected from {len(quotas)} of {len(strata)} strata, {span} from each."
