"""The report of a coreset: one self-contained HTML page."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from dealrec.config import SelectionMethod
from dealrec.config.selectors import SELECTORS
from dealrec.coresets.writer import MANIFEST, MEMBERS, SCORES
from dealrec.reports.pages import write_page
from dealrec.reports.scores import score_charts, strata_charts
from dealrec.selection.interface import StratumUse

_SHOWN_MEMBERS = 100


def write_report(coreset: Path, out: Path) -> None:
    """Write ``out`` from a coreset folder (``manifest.json``, ``scores.parquet``, ``members.parquet``).

    The page holds its plots as SVG and asks for nothing from a network.
    """
    manifest = json.loads((coreset / MANIFEST).read_text())
    selector = SELECTORS[SelectionMethod(manifest["config"]["selection"]["method"])]
    scores = pq.read_table(coreset / SCORES)
    with pq.ParquetFile(coreset / MEMBERS) as file:
        members = next(file.iter_batches(_SHOWN_MEMBERS))
    write_page(
        out,
        "dealrec.reports",
        "report.html.j2",
        manifest=manifest,
        charts=score_charts(scores, selector.overall),
        strata=strata_charts([StratumUse(**use) for use in manifest["coverage"]["strata"]]),
        strata_note=selector.strata,
        comparison=_comparison(manifest, scores),
        members=members.to_pylist(),
        config=json.dumps(manifest["config"], indent=2),
    )


def _comparison(manifest: dict[str, Any], scores: Any) -> list[tuple[str, Any, Any, Any]]:
    """Rows of (what, all samples, this coreset, random selection of the same size)."""
    selected = scores["selected"].to_numpy()
    coverage, control = manifest["coverage"], manifest["control"]
    rows = [
        ("samples", len(scores), manifest["size"], manifest["size"]),
        ("users", None, coverage["users"], control["users"]),
        ("items in histories and targets", None, coverage["items"], control["items"]),
    ]
    for name in ("influence", "effort"):
        if scores[name].null_count:
            continue
        values = scores[name].to_numpy()
        random_mean = control[f"mean_{name}"]
        rows.append((f"mean {name}", values.mean(), values[selected].mean(), random_mean))
        spread = values.std(ddof=1) / np.sqrt(manifest["size"]) if len(values) > 1 else 0.0
        rows.append((f"standard error of a random mean {name}", None, None, spread))
    return rows
