"""Writes a selection as a folder: ``scores.parquet``, ``members.parquet``, ``manifest.json``."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.config import PruneConfig
from dealrec.data.dataset import Dataset
from dealrec.data.prompts import Prompter
from dealrec.data.samples import Samples
from dealrec.selection.interface import Int64, Scores, Selection
from dealrec.selection.select import member_sha256
from dealrec.selection.uniform import select_uniform
from dealrec.version import __version__

SCORES = "scores.parquet"
MEMBERS = "members.parquet"
MANIFEST = "manifest.json"
REPORT = "report.html"

MEMBER_ROWS = 10_000
"""Members that are put into words at once."""


@dataclass(frozen=True)
class Coreset:
    """What a written coreset is."""

    size: int
    sha256: str
    coverage: dict[str, Any]
    manifest: dict[str, Any]


def write_coreset(
    dataset: Dataset,
    samples: Samples,
    scores: Scores,
    selection: Selection,
    *,
    config: PruneConfig,
    budget_requested: int | float,
    facts: Mapping[str, Any],
    out: Path,
) -> Coreset:
    """Write the three files of a coreset into ``out``.

    ``facts`` is what the earlier stages said of themselves (``surrogate``, ``influence``,
    ``effort``: metrics and diagnostics); it goes into the manifest as it is. The same arguments
    give the same bytes.
    """
    out.mkdir(parents=True, exist_ok=True)
    table = score_table(scores, selection)
    pq.write_table(table, out / SCORES, compression="zstd")
    _write_members(dataset, samples, table, selection.indices, config, out / MEMBERS)
    size = len(selection.indices)
    sha256 = member_sha256(scores.keys.take(pa.array(selection.indices)).to_pylist())
    coverage = {
        **covered(samples, selection.indices),
        "strata": [asdict(use) for use in selection.strata],
    }
    manifest = {
        "dealrec_version": __version__,
        "size": size,
        "sha256": sha256,
        "budget": {"requested": budget_requested, "samples": size},
        "dataset": {
            "sha256": dataset.sha256,
            "split": dataset.split_method.value,
            "users": dataset.n_users,
            "items": dataset.n_items,
            "interactions": dataset.n_interactions,
            "samples": len(samples),
        },
        "config": config.model_dump(mode="json"),
        "coverage": coverage,
        "control": _control(samples, scores, size, config),
        "stages": dict(facts),
    }
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return Coreset(size, sha256, coverage, manifest)


def score_table(scores: Scores, selection: Selection) -> pa.Table:
    """[n] ``sample_key, influence, effort, overall, stratum, selected``, in dense order.

    ``stratum`` is null for samples that hard pruning dropped, or that were no candidates; the
    latter have no ``effort`` either, and their ``overall`` is of influence alone.
    """
    effort = pa.nulls(len(scores), pa.float64())
    if scores.effort is not None:
        effort = pa.array(scores.effort, mask=np.isnan(scores.effort))
    return pa.table(
        {
            "sample_key": scores.keys,
            "influence": pa.array(scores.influence),
            "effort": effort,
            "overall": pa.array(selection.overall),
            "stratum": pa.array(selection.stratum, mask=selection.stratum < 0),
            "selected": pa.array(selection.selected()),
        }
    )


def read_scores(path: Path, samples: Samples) -> Scores:
    """The raw scores in the ``scores.parquet`` of ``samples``, from which to select again."""
    table = pq.read_table(path, columns=["sample_key", "influence", "effort"])
    effort = table["effort"]
    asked = effort.null_count < len(effort)
    return Scores(
        keys=table["sample_key"].combine_chunks(),
        influence=table["influence"].to_numpy(),
        effort=effort.to_numpy() if asked else None,
        candidates=effort.is_valid().to_numpy() if asked and effort.null_count else None,
        targets=samples.targets,
        history_lengths=samples.history_lengths,
    )


def _write_members(
    dataset: Dataset,
    samples: Samples,
    table: pa.Table,
    taken: Int64,
    config: PruneConfig,
    path: Path,
) -> None:
    """The taken samples as people and LLMs read them, in dense order; a part of them at a time."""
    prompter = Prompter(dataset, samples, config.prompt)
    first = _members(dataset, samples, table, taken[:MEMBER_ROWS], prompter)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        writer.write_table(first)
        for start in range(MEMBER_ROWS, len(taken), MEMBER_ROWS):
            part = taken[start : start + MEMBER_ROWS]
            writer.write_table(_members(dataset, samples, table, part, prompter))


def _members(
    dataset: Dataset, samples: Samples, table: pa.Table, taken: Int64, prompter: Prompter
) -> pa.Table:
    prompts = [prompter.prompt(int(index)) for index in taken]
    histories = [samples.history(int(index)) for index in taken]
    bounds = np.concatenate([[0], np.cumsum([len(history) for history in histories])])
    flat = dataset.item_ids.take(pa.array(np.concatenate(histories)))
    history = pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), flat)
    rows = table.take(pa.array(taken))
    return pa.table(
        {
            "sample_key": rows["sample_key"],
            "user_id": dataset.user_ids.take(pa.array(samples.users[taken])),
            "history": history,
            "target": dataset.item_ids.take(pa.array(samples.targets[taken])),
            "instruction": [prompt.instruction for prompt in prompts],
            "input": [prompt.input for prompt in prompts],
            "output": [prompt.output for prompt in prompts],
            **{name: rows[name] for name in ("influence", "effort", "overall", "stratum")},
        }
    )


def covered(samples: Samples, taken: Int64) -> dict[str, int]:
    """Distinct users, and distinct items in histories and targets, of the taken samples."""
    starts, ends = samples.start[taken], samples.target[taken] + 1
    # Marks every flat position that a taken sample spans: +1 where one begins, -1 where it ends.
    steps = np.zeros(len(samples.items) + 1, dtype=np.int64)
    np.add.at(steps, starts, 1)
    np.add.at(steps, ends, -1)
    spanned = samples.items[np.cumsum(steps[:-1]) > 0]
    return {"users": len(np.unique(samples.users[taken])), "items": len(np.unique(spanned))}


def _control(samples: Samples, scores: Scores, size: int, config: PruneConfig) -> dict[str, Any]:
    """What a random selection of the same size and seed covers, to be set beside the coreset."""
    taken = select_uniform(scores, size, config.selection).indices
    return {
        "method": "random",
        "seed": config.selection.seed,
        **covered(samples, taken),
        "mean_influence": float(scores.influence[taken].mean()),
        "mean_effort": None
        if scores.effort is None or scores.candidates is not None
        else float(scores.effort[taken].mean()),
    }
