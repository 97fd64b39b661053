"""The charts of stored scores, as the pages of jobs and coresets show them."""

import pyarrow.parquet as pq

from dealrec.app.kit.context import Context
from dealrec.app.kit.downloads import scratch
from dealrec.reports.scores import Chart, score_charts


def stored_charts(context: Context, key: str) -> list[Chart]:
    """The charts of the ``scores.parquet`` that is stored under ``key``."""
    with scratch(context.settings) as folder:
        return score_charts(pq.read_table(context.storage.fetch_file(key, folder)))
