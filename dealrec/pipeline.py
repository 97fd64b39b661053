"""The whole method in one call, for people who have no server."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.config import PruneConfig, Split, SplitMethod, parse_budget, resolve_budget
from dealrec.config.runtime import Runtime, environment_runtime
from dealrec.config.selectors import selector_needs
from dealrec.config.stages import StageName
from dealrec.coresets.members import read_members
from dealrec.coresets.writer import MEMBERS, REPORT, Coreset, write_coreset
from dealrec.data.dataset import Dataset
from dealrec.data.ingest import ingest
from dealrec.data.samples import Samples, build_samples
from dealrec.gathering import gather, require_models
from dealrec.language_models.loading import require_language_model
from dealrec.progress import StageReporters, silent_stages
from dealrec.selection.select import select


@dataclass(frozen=True)
class PruneResult:
    """What :func:`prune` made."""

    folder: Path
    """Holds ``members.parquet``, ``scores.parquet``, ``manifest.json``, ``report.html`` and, where
    asked for, ``adapter/``."""
    coreset: Coreset
    config: PruneConfig
    """Fully resolved; running it again gives the same coreset."""
    report: Mapping[str, Any]
    """Of the validation: accepted and rejected rows, warnings."""
    adapter: Path | None

    def to_arrow(self) -> pa.Table:
        """The members: keys, ids, texts and scores, one row a sample."""
        return pq.read_table(self.folder / MEMBERS)


def prune(
    interactions: str | Path | pa.Table,
    *,
    budget: int | float,
    items: str | Path | pa.Table | None = None,
    out: str | Path,
    config: PruneConfig | Mapping[str, Any] | None = None,
    columns: Mapping[str, str] | None = None,
    split: SplitMethod | str | None = None,
    runtime: Runtime | None = None,
    stages: StageReporters = silent_stages,
) -> PruneResult:
    """Pick the ``budget`` samples of ``interactions`` that are worth fine-tuning an LLM on.

    Args:
        interactions: A file in any format of :mod:`dealrec.data`, or an Arrow table.
        budget: A count, or a fraction between 0 and 1.
        items: The catalogue (``item_id``, ``title``); without it titles are the ids.
        out: The folder for the results; it appears complete or not at all.
        config: Options; what is left out has defaults.
        columns: Our column names to the file's, for files that call them otherwise.
        split: How interactions are split; see :class:`dealrec.config.SplitMethod`.
        runtime: Threads and device; default: from the environment.
        stages: Gives the reporter of each stage.

    Raises:
        InputError: The data, the budget or the configuration cannot be used.

    Examples:
        >>> from dealrec.data.synthetic import write_sample_data
        >>> write_sample_data(Path("sample"), users=40, items=30)
        >>> config = {"surrogate": {"epochs": 1}}
        >>> result = prune("sample/interactions.csv", budget=8, out="result", config=config)
        >>> result.to_arrow().num_rows
        8
        >>> (result.folder / "report.html").exists()
        True
    """
    runtime = runtime or environment_runtime()
    requested = parse_budget(budget)
    if not isinstance(config, PruneConfig):
        config = PruneConfig.parse(dict(config or {}))
    require_models(config, selector_needs(config.selection))
    if config.finetune is not None:
        require_language_model(config.finetune.model)
    split_method = None if split is None else SplitMethod(split)
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        work = Path(scratch)
        ingested = ingest(
            as_file(interactions, work, "interactions"),
            items=None if items is None else as_file(items, work, "items"),
            columns=columns,
            split=split_method,
            out=work / "dataset",
            reporter=stages(StageName.INGEST),
        )
        config = config.resolved(has_validation=ingested.dataset.users_asked(Split.VALID) > 0)
        samples = build_samples(ingested.dataset, config.sampling, config.min_history)
        size = resolve_budget(requested, len(samples))
        result = work / "result"
        coreset = _coreset(
            ingested.dataset, samples, config, requested, size, runtime, stages, result
        )
        adapter = _finetune(config, coreset, result, work / "checkpoints", runtime, stages)
        _publish(result, out)
    return PruneResult(out, coreset, config, ingested.report, out / "adapter" if adapter else None)


def _coreset(
    dataset: Dataset,
    samples: Samples,
    config: PruneConfig,
    requested: int | float,
    size: int,
    runtime: Runtime,
    stages: StageReporters,
    out: Path,
) -> Coreset:
    """All stages up to the selection; the coreset's folder is ``out``."""
    from dealrec.reports.report import write_report

    needs = selector_needs(config.selection)
    gathered = gather(dataset, samples, config, needs, budget=size, runtime=runtime, stages=stages)
    reporter = stages(StageName.SELECT)
    selection = select(gathered.scores, size, config.selection)
    coreset = write_coreset(
        dataset,
        samples,
        gathered.scores,
        selection,
        config=config,
        budget_requested=requested,
        facts=gathered.facts,
        out=out,
    )
    write_report(out, out / REPORT)
    reporter.progress(size, size, "sample")
    return coreset


def _finetune(
    config: PruneConfig,
    coreset: Coreset,
    result: Path,
    checkpoints: Path,
    runtime: Runtime,
    stages: StageReporters,
) -> bool:
    """LoRA on the coreset into ``result/adapter``, where the configuration asks for it."""
    if config.finetune is None:
        return False
    from dealrec.finetune.training import finetune

    finetune(
        read_members(result / MEMBERS),
        config.finetune,
        out=result / "adapter",
        checkpoint_dir=checkpoints,
        model_card={
            "coreset_sha256": coreset.sha256,
            "dataset_sha256": coreset.manifest["dataset"]["sha256"],
        },
        runtime=runtime,
        reporter=stages(StageName.FINETUNE),
    )
    return True


def as_file(source: str | Path | pa.Table, work: Path, name: str) -> Path:
    """``source`` itself, or a file ``name`` in ``work`` where it is a table."""
    if isinstance(source, pa.Table):
        path = work / f"{name}.parquet"
        pq.write_table(source, path)
        return path
    return Path(source)


def _publish(result: Path, out: Path) -> None:
    """Move each finished file into ``out`` (which may hold files of the user's own)."""
    out.mkdir(exist_ok=True)
    for source in sorted(result.iterdir()):
        target = out / source.name
        if target.is_dir():
            shutil.rmtree(target)
        source.replace(target)


def write_config(config: PruneConfig, path: Path) -> None:
    """The configuration as ``dealrec prune --config`` reads it."""
    path.write_text(json.dumps(config.model_dump(mode="json"), indent=2) + "\n")
