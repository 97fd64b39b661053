"""The charts of stored scores and of curves, as the pages of jobs, adapters and coresets show them.

The library that draws is loaded with the first chart: a server starts without it.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from dealrec.app.jobs.curves import MetricCurve
from dealrec.app.kit.context import Context
from dealrec.app.kit.downloads import scratch
from dealrec.config.stages import STAGES, StageName

if TYPE_CHECKING:
    from dealrec.reports.scores import Chart


def stored_charts(context: Context, key: str) -> "list[Chart]":
    """The charts of the ``scores.parquet`` that is stored under ``key``."""
    from dealrec.reports.scores import score_charts

    with scratch(context.settings) as folder:
        return score_charts(pq.read_table(context.storage.fetch_file(key, folder)))


def stage_charts(curves: Sequence[MetricCurve]) -> "list[Chart]":
    """The charts of the curves of one run, stage after stage."""
    from dealrec.reports.curves import curve_charts

    charts = []
    for (stage, unit), group in groupby(curves, lambda curve: (curve.stage, curve.unit)):
        points = {one.name: [(at.step, at.value) for at in one.points] for one in group}
        charts += curve_charts(STAGES[StageName(stage)].title, points, unit)
    return charts
