"""A comparison in one call, for people who have no server."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from dealrec.comparison.results import ComparisonReport
from dealrec.comparison.running import compare
from dealrec.comparison.runs import select_runs
from dealrec.config import Split, SplitMethod
from dealrec.config.comparison import ComparisonConfig
from dealrec.config.runtime import Runtime, environment_runtime
from dealrec.config.stages import StageName
from dealrec.data.ingest import ingest
from dealrec.data.samples import build_samples
from dealrec.gathering import gather, require_models
from dealrec.language_models.loading import require_language_model
from dealrec.pipeline import as_file
from dealrec.progress import StageReporters, silent_stages

_WORK = ".work"


def compare_selectors(
    interactions: str | Path | pa.Table,
    *,
    items: str | Path | pa.Table | None = None,
    config: ComparisonConfig | Mapping[str, Any],
    out: str | Path,
    work: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    split: SplitMethod | str | None = None,
    runtime: Runtime | None = None,
    stages: StageReporters = silent_stages,
) -> ComparisonReport:
    """Find out which selector's coresets a language model learns most from, on your data.

    Args:
        interactions: A file in any format of :mod:`dealrec.data`, or an Arrow table.
        items: The catalogue (``item_id``, ``title``).
        config: What is compared.
        out: Gets ``report.html``, ``report.json`` and ``users.parquet``.
        work: Where finished runs and states of frozen layers are kept; default: a folder in ``out``
            that is removed at the end. A comparison that was stopped goes on from there.
        columns: Our column names to the file's, for files that call them otherwise.
        split: How interactions are split.
        runtime: Threads and device; default: from the environment.
        stages: Gives the reporter of each stage.

    Raises:
        InputError: The data, the budgets or the configuration cannot be used.
    """
    runtime = runtime or environment_runtime()
    if not isinstance(config, ComparisonConfig):
        config = ComparisonConfig.parse(dict(config), location="comparison")
    needs = config.needs()
    require_models(config.config, needs)
    assert config.config.finetune is not None
    require_language_model(config.config.finetune.model)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    kept = Path(work) if work is not None else out / _WORK
    with tempfile.TemporaryDirectory(prefix="dealrec-") as scratch:
        dataset = ingest(
            as_file(interactions, Path(scratch), "interactions"),
            items=None if items is None else as_file(items, Path(scratch), "items"),
            columns=columns,
            split=None if split is None else SplitMethod(split),
            out=Path(scratch) / "dataset",
            reporter=stages(StageName.INGEST),
        ).dataset
        config = config.resolved(has_validation=dataset.users_asked(Split.VALID) > 0)
        samples = build_samples(dataset, config.config.sampling, config.config.min_history)
        budgets = config.resolved_budgets(len(samples))
        gathered = gather(
            dataset,
            samples,
            config.config,
            needs,
            budget=max(budgets),
            runtime=runtime,
            stages=stages,
        )
        reporter = stages(StageName.COMPARE)
        keys = samples.keys(dataset).to_pylist()
        report = compare(
            dataset,
            samples,
            select_runs(keys, gathered.scores, config, budgets=budgets, reporter=reporter),
            config,
            budgets=budgets,
            out=out,
            checkpoint_dir=kept / "runs",
            work=kept,
            seconds=gathered.seconds,
            runtime=runtime,
            reporter=reporter,
        )
    if work is None:
        shutil.rmtree(kept)
    return report
