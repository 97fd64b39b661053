"""What a stage's function is given, and what it gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from dealrec.config import ComparisonConfig, PruneConfig, SplitMethod
from dealrec.config.runtime import Runtime
from dealrec.config.stages import StageName, StagePart
from dealrec.progress import Reporter


@dataclass(frozen=True)
class IngestFiles:
    """Uploaded files, and the names that people know them by."""

    interactions: Path
    interactions_name: str
    items: Path | None
    items_name: str | None
    columns: Mapping[str, str] | None
    split: SplitMethod | None


@dataclass(frozen=True)
class StageContext:
    """Local folders to read from (never to write to), the folder ``out`` to fill, and the options."""

    dataset: Path
    inputs: Mapping[StageName, Path]
    config: PruneConfig
    comparison: ComparisonConfig | None
    """Of a comparison; ``config`` is its part then."""
    budget: int
    budget_requested: int | float
    facts: Mapping[str, Mapping[str, Any]]
    """``{"metrics", "details", "seconds"}`` of the earlier stages, by name."""
    files: IngestFiles | None
    part: StagePart | None
    """Which part of a shared stage is to be made; ``None``: the whole, from ``parts`` if there are any."""
    shard: int
    """Of a shard: its number, from 0."""
    shards: int
    """And how many there are."""
    pieces: int
    """Into how many pieces a batch is cut: doubled each time that memory did not hold it."""
    parts: Mapping[str, Path]
    """Folders of the parts that were made before: ``plan``, ``shard-0``, …."""
    out: Path
    checkpoint_dir: Path
    """Outlives this process: a later attempt finds what an earlier one left."""
    reporter: Reporter
    runtime: Runtime

    @classmethod
    def from_order(cls, order: Mapping[str, Any], reporter: Reporter) -> Self:
        """From what the parent wrote (see :func:`dealrec.worker.assignment.fetch`)."""
        out, checkpoint_dir = Path(order["out"]), Path(order["checkpoint_dir"])
        comparison = order["comparison"]
        out.mkdir(parents=True, exist_ok=True)
        checkpoint_dir.mkdir(parents=True, exist_ok=True)
        return cls(
            dataset=Path(order["dataset"] or "."),
            inputs={StageName(name): Path(path) for name, path in order["inputs"].items()},
            config=PruneConfig.parse(order["config"] or {}),
            comparison=ComparisonConfig.parse(comparison) if comparison else None,
            budget=order["budget"] or 0,
            budget_requested=order["budget_requested"] or 0,
            facts=order["facts"],
            files=_files(order["ingest"]) if order["ingest"] else None,
            part=StagePart(order["part"]) if order["part"] else None,
            shard=order["shard"] or 0,
            shards=order["shards"] or 1,
            pieces=order["pieces"],
            parts={name: Path(path) for name, path in order["parts"].items()},
            out=out,
            checkpoint_dir=checkpoint_dir,
            reporter=reporter,
            runtime=Runtime(threads=order["threads"], device=order["device"]),
        )


@dataclass(frozen=True)
class StageResult:
    """``details`` is kept with the artifact and read at publication; ``metrics`` people see."""

    details: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


def _files(ingest: Mapping[str, Any]) -> IngestFiles:
    items = ingest.get("items")
    return IngestFiles(
        interactions=Path(ingest["interactions"]["path"]),
        interactions_name=ingest["interactions"]["name"],
        items=Path(items["path"]) if items else None,
        items_name=items["name"] if items else None,
        columns=ingest["columns"],
        split=SplitMethod(ingest["split"]) if ingest["split"] else None,
    )
