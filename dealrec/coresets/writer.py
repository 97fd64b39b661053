"""Writes a selection as a folder: ``scores.parquet``, ``members.parquet``, ``manifest.json``."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.config import PruneConfig
from dealrec.config.curve import TargetUse
from dealrec.coresets.members import text_columns
from dealrec.data.dataset import Dataset
from dealrec.data.findings import Validation
from dealrec.data.prompter import Prompter
from dealrec.data.samples import Samples
from dealrec.data.times import unit_of
from dealrec.environment import Environment, environment
from dealrec.notebook import coreset_facts, facts_html
from dealrec.selection.interface import Int64, Scores, Selection
from dealrec.selection.select import member_sha256
from dealrec.selection.uniform import select_uniform
from dealrec.version import __version__

SCORES = "scores.parquet"
MEMBERS = "members.parquet"
MANIFEST = "manifest.json"
REPORT = "report.html"

MEMBER_ROWS = 10_000
"""The number of members that are put into words at a time."""


class Covered(TypedDict):
    """The numbers of distinct users, and of distinct items in histories and targets."""

    users: int
    items: int


class Coverage(Covered):
    """The users and items that a coreset covers, and its strata."""

    strata: list[dict[str, Any]]
    """The fields of each :class:`~dealrec.selection.interface.StratumUse`."""


class Control(Covered):
    """A random selection of the same size and seed, to compare the coreset with."""

    method: str
    seed: int
    mean_influence: float | None
    """Null for texts without ids, which have no influence."""
    mean_effort: float | None


class TargetTimes(TypedDict):
    """The oldest, the middle and the newest time of a target, in some samples each."""

    unit: str | None
    """A :class:`~dealrec.data.times.TimeUnit`; null where the numbers do not count from 1970."""
    all_samples: list[int]
    coreset: list[int]
    random: list[int]


class BudgetUse(TypedDict):
    """The budget as it was asked for, and in samples."""

    requested: int | float
    samples: int
    target: NotRequired[dict[str, Any]]
    """A :class:`~dealrec.config.curve.TargetUse`, where the budget followed from a target."""


class DatasetFacts(TypedDict):
    """The data set of a coreset."""

    sha256: str
    split: str
    users: int
    items: int
    interactions: int
    samples: int


class Manifest(TypedDict):
    """The content of ``manifest.json``: all that is needed to make the coreset again."""

    dealrec_version: str
    size: int
    sha256: str
    budget: BudgetUse
    dataset: DatasetFacts
    validation: Validation | None
    """The report of the validation: accepted and rejected rows, the reasons, and anything unusual."""
    config: dict[str, Any]
    """A :class:`~dealrec.config.PruneConfig` as JSON."""
    coverage: Coverage
    control: Control
    times: TargetTimes | None
    """Null if the data set has no timestamps."""
    environment: Environment
    """Where the samples were selected; ``stages`` say where their scores were computed."""
    stages: dict[str, Any]
    """Metrics and diagnostics of the earlier stages."""


@dataclass(frozen=True)
class Coreset:
    """A written coreset."""

    size: int
    sha256: str
    coverage: Coverage
    manifest: Manifest

    def facts(self) -> dict[str, object]:
        """What a notebook shows of it."""
        strata = self.coverage["strata"]
        return coreset_facts(
            self.size,
            self.manifest["config"]["selection"]["method"],
            self.coverage["users"],
            self.coverage["items"],
            (sum(bool(use["selected"]) for use in strata), len(strata)),
            self.sha256,
        )

    def _repr_html_(self) -> str:
        return facts_html("Coreset", self.facts())


def write_coreset(
    dataset: Dataset,
    samples: Samples,
    scores: Scores,
    selection: Selection,
    *,
    config: PruneConfig,
    budget_requested: int | float,
    target: TargetUse | None = None,
    facts: Mapping[str, Any],
    out: Path,
) -> Coreset:
    """Write the three files of a coreset into ``out``.

    ``target`` is what the budget followed from, if that was not asked for itself.
    ``facts`` holds metrics and diagnostics of the earlier stages (``surrogate``, ``influence``,
    ``effort``), and goes into the manifest as it is. The same arguments give the same bytes, but for
    the environment in the manifest.
    """
    out.mkdir(parents=True, exist_ok=True)
    table = score_table(scores, selection)
    pq.write_table(table, out / SCORES, compression="zstd")
    _write_members(dataset, samples, table, selection.indices, config, out / MEMBERS)
    size = len(selection.indices)
    sha256 = member_sha256(scores.keys.take(pa.array(selection.indices)).to_pylist())
    random = select_uniform(scores, size, config.selection).indices
    coverage: Coverage = {
        **covered(samples, selection.indices),
        "strata": [asdict(use) for use in selection.strata],
    }
    budget: BudgetUse = {"requested": budget_requested, "samples": size}
    if target is not None:
        budget["target"] = target.model_dump(mode="json")
    manifest: Manifest = {
        "dealrec_version": __version__,
        "size": size,
        "sha256": sha256,
        "budget": budget,
        "dataset": {
            "sha256": dataset.sha256,
            "split": dataset.split_method.value,
            "users": dataset.n_users,
            "items": dataset.n_items,
            "interactions": dataset.n_interactions,
            "samples": len(samples),
        },
        "validation": dataset.validation,
        "config": config.model_dump(mode="json"),
        "coverage": coverage,
        "control": _control(samples, scores, random, config),
        "times": _times(samples, selection.indices, random),
        "environment": environment(),
        "stages": dict(facts),
    }
    (out / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return Coreset(size, sha256, coverage, manifest)


def score_table(scores: Scores, selection: Selection) -> pa.Table:
    """Make the table ``sample_key, influence, effort, overall, stratum, selected`` in dense order.

    ``stratum`` is null for samples that hard pruning dropped or that were not candidates. The latter
    have no ``effort`` either, and their ``overall`` score is the influence alone. ``influence`` is null for
    texts without ids.
    """
    influence = pa.nulls(len(scores), pa.float64())
    if scores.influence is not None:
        influence = pa.array(scores.influence)
    effort = pa.nulls(len(scores), pa.float64())
    if scores.effort is not None:
        effort = pa.array(scores.effort, mask=np.isnan(scores.effort))
    return pa.table(
        {
            "sample_key": scores.keys,
            "influence": influence,
            "effort": effort,
            "overall": pa.array(selection.overall),
            "stratum": pa.array(selection.stratum, mask=selection.stratum < 0),
            "selected": pa.array(selection.selected()),
        }
    )


def read_scores(path: Path, samples: Samples) -> Scores:
    """Read the raw scores of ``samples`` in a ``scores.parquet``, to select from them again."""
    table = pq.read_table(path, columns=["sample_key", "influence", "effort"])
    influence, effort = table["influence"], table["effort"]
    asked = effort.null_count < len(effort)
    return replace(
        unscored(table["sample_key"].combine_chunks(), samples),
        influence=None if influence.null_count else influence.to_numpy(),
        effort=effort.to_numpy() if asked else None,
        candidates=effort.is_valid().to_numpy() if asked and effort.null_count else None,
    )


def unscored(keys: pa.Array, samples: Samples) -> Scores:
    """What is known of samples without any model; texts without ids have their ``keys`` alone."""
    scores = Scores(keys, None, None)
    if not samples.has_ids:
        return scores
    return replace(
        scores,
        targets=samples.targets,
        history_lengths=samples.history_lengths,
        times=samples.target_times,
        day=samples.day,
    )


def _write_members(
    dataset: Dataset,
    samples: Samples,
    table: pa.Table,
    taken: Int64,
    config: PruneConfig,
    path: Path,
) -> None:
    """Write the taken samples with their texts in dense order, a part of them at a time."""
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
            "target": dataset.item_ids.take(pa.array(samples.targets[taken]))
            if samples.has_ids
            else pa.nulls(len(taken), pa.string()),
            **text_columns(prompts, whole=samples.given is not None),
            **{name: rows[name] for name in ("influence", "effort", "overall", "stratum")},
        }
    )


def covered(samples: Samples, taken: Int64) -> Covered:
    """Count the distinct users and items of the taken samples."""
    starts, ends = samples.start[taken], samples.target[taken] + 1
    # Mark the flat positions that taken samples span: +1 where a sample begins, -1 after its end.
    steps = np.zeros(len(samples.items) + 1, dtype=np.int64)
    np.add.at(steps, starts, 1)
    np.add.at(steps, ends, -1)
    spanned = samples.items[np.cumsum(steps[:-1]) > 0]
    return {"users": len(np.unique(samples.users[taken])), "items": len(np.unique(spanned))}


def _control(samples: Samples, scores: Scores, taken: Int64, config: PruneConfig) -> Control:
    """Describe a random selection of the same size and seed."""
    return {
        "method": "random",
        "seed": config.selection.seed,
        **covered(samples, taken),
        "mean_influence": None
        if scores.influence is None
        else float(scores.influence[taken].mean()),
        "mean_effort": None
        if scores.effort is None or scores.candidates is not None
        else float(scores.effort[taken].mean()),
    }


def _times(samples: Samples, taken: Int64, random: Int64) -> TargetTimes | None:
    times = samples.target_times
    if times is None:
        return None
    whole, chosen, control = (
        np.quantile(some, [0, 0.5, 1], method="lower").tolist()
        for some in (times, times[taken], times[random])
    )
    return {
        "unit": unit_of(times),
        "all_samples": whole,
        "coreset": chosen,
        "random": control,
    }
