"""The report of a coreset: one self-contained HTML page."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.config import SelectionMethod
from dealrec.config.selectors import SELECTORS
from dealrec.coresets.writer import MANIFEST, MEMBERS, SCORES, Manifest
from dealrec.data.findings import validation_lines
from dealrec.data.times import TimeUnit, date_of
from dealrec.reports.pages import write_page
from dealrec.reports.scores import score_charts, strata_charts
from dealrec.selection.interface import StratumUse

_SHOWN_MEMBERS = 100


def write_report(coreset: Path, out: Path) -> None:
    """Write the page ``out`` from a coreset folder.

    The folder holds ``manifest.json``, ``scores.parquet`` and ``members.parquet``. The page contains
    its charts as SVG and needs no network.
    """
    manifest: Manifest = json.loads((coreset / MANIFEST).read_text())
    selector = SELECTORS[SelectionMethod(manifest["config"]["selection"]["method"])]
    scores = pq.read_table(coreset / SCORES)
    with pq.ParquetFile(coreset / MEMBERS) as file:
        members = next(file.iter_batches(_SHOWN_MEMBERS))
    write_page(
        out,
        "dealrec.reports",
        "report.html.j2",
        manifest=manifest,
        validation=_what_was_read(manifest),
        charts=score_charts(scores, selector.overall),
        strata=strata_charts([StratumUse(**use) for use in manifest["coverage"]["strata"]]),
        strata_note=selector.strata,
        comparison=_comparison(manifest, scores),
        members=members.to_pylist(),
        config=json.dumps(manifest["config"], indent=2),
    )


def _what_was_read(manifest: Manifest) -> list[str]:
    """The sums of the validation, and what the earlier surrogate and the one that went on say of the rows."""
    lines = validation_lines(manifest["validation"]) if manifest["validation"] else []
    surrogate = manifest["stages"].get("surrogate", {})
    return [*lines, *_loss_on_new_rows(surrogate), *_left_out(surrogate.get("continued", {}))]


def _loss_on_new_rows(surrogate: Mapping[str, Any]) -> Iterator[str]:
    found = surrogate.get("drift")
    if found is None or found["loss"] is None:
        return
    told = f"the loss of the earlier surrogate on {found['asked']:,} new rows is {found['loss']:.3f} nats"
    if found["held_out_loss"] is not None:
        told += (
            f", and {found['held_out_loss']:.3f} nats on rows that were held out from its training"
        )
    yield told


def _left_out(continued: Mapping[str, Any]) -> Iterator[str]:
    """What the surrogate did not learn again, and how much of it is forgotten."""
    if not continued.get("users_left_out"):
        return
    told = (
        f"the surrogate continued with {continued['users_changed']:,} users with new rows and "
        f"{continued['users_repeated']:,} others, and did not learn "
        f"{continued['users_left_out']:,} users again"
    )
    if "left_out_asked" in continued:
        told += (
            f": its loss on {continued['left_out_asked']:,} of their rows was "
            f"{continued['left_out_loss_before']:.3f} nats before and is "
            f"{continued['left_out_loss_after']:.3f} nats now"
        )
    yield told


class _Row(NamedTuple):
    """A figure of all samples, of the coreset, and of a random selection of the same size."""

    name: str
    all_samples: float | str | None
    coreset: float | str | None
    random: float | str | None


def _comparison(manifest: Manifest, scores: pa.Table) -> list[_Row]:
    selected = scores["selected"].to_numpy()
    size, coverage, control = manifest["size"], manifest["coverage"], manifest["control"]
    rows = [
        _Row("samples", len(scores), size, size),
        _Row("users", None, coverage["users"], control["users"]),
    ]
    if manifest["dataset"]["items"]:
        named = "items in histories and targets"
        rows.append(_Row(named, None, coverage["items"], control["items"]))
    for name, random in (
        ("influence", control["mean_influence"]),
        ("effort", control["mean_effort"]),
    ):
        if scores[name].null_count:
            continue
        values = scores[name].to_numpy()
        rows.append(_Row(f"mean {name}", values.mean(), values[selected].mean(), random))
        spread = values.std(ddof=1) / np.sqrt(size) if len(values) > 1 else 0.0
        rows.append(_Row(f"standard error of a random mean {name}", None, None, spread))
    return rows + _times(manifest)


def _times(manifest: Manifest) -> list[_Row]:
    """Say how old the targets are; manifests of the first version do not know."""
    times = manifest.get("times")
    if times is None:
        return []
    unit = TimeUnit(times["unit"]) if times["unit"] else None
    named = zip(
        ("oldest", "median", "newest"),
        times["all_samples"],
        times["coreset"],
        times["random"],
        strict=True,
    )
    return [
        _Row(f"{name} target", *(date_of(time, unit) for time in found)) for name, *found in named
    ]
