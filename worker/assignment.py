"""What one run of a stage works on, read once from the database; and what its process is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dealrec.app.jobs.composition import stage_config
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow, StoredFile
from dealrec.app.tables.jobs import ArtifactRow, JobKind, JobRow, StageRow
from dealrec.config.stages import StageName
from dealrec.worker.claims import Claim


@dataclass(frozen=True)
class Assignment:
    """Where a claimed stage's inputs lie in storage, and its options."""

    claim: Claim
    key: str | None
    dataset_prefix: str | None
    inputs: dict[str, str]
    """Stage name to storage prefix."""
    parts: dict[str, str]
    """Likewise of the parts of this very stage, where it is shared: ``plan``, ``shard-0``, …."""
    config: dict[str, Any] | None
    """``PruneConfig``; null for ``ingest``."""
    comparison: dict[str, Any] | None = None
    """``ComparisonConfig``, of a comparison."""
    shards: int | None = None
    """Of a shard: how many there are."""
    kills: int = 0
    """How often a run before this one ended for lack of memory."""
    budget: int | None = None
    budget_requested: int | float | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """Metrics, details and seconds of the stages whose results go in, by name."""
    parts_seconds: float = 0.0
    """What making the parts took."""
    uploads: Mapping[str, StoredFile | None] = field(default_factory=dict)
    columns: dict[str, str] | None = None
    split: str | None = None

    @property
    def name(self) -> StageName:
        return StageName(self.claim.name)

    @property
    def prefix(self) -> str:
        """Where this run's files go; the fence is part of it, so that no two runs share it."""
        claim = self.claim
        if self.name is StageName.INGEST:
            return f"datasets/{claim.tenant_id}/{claim.dataset_id}/{claim.fence}"
        return f"artifacts/{claim.tenant_id}/{claim.stage_id}/{claim.fence}"


def read_assignment(session: Session, claim: Claim) -> Assignment:
    """Everything the run needs to know, from a session that only reads."""
    stage = session.get_one(StageRow, claim.stage_id)
    dataset = session.get_one(DatasetRow, claim.dataset_id)
    if claim.job_id is None:
        return Assignment(
            claim,
            None,
            None,
            {},
            {},
            None,
            uploads=dataset.uploads,
            columns=dataset.columns,
            split=dataset.split,
        )
    job = session.get_one(JobRow, claim.job_id)
    artifacts, made_parts = _artifacts_before(session, stage)
    parts = {name: artifact.prefix for name, artifact in made_parts.items()}
    inputs = {name: artifact.prefix for name, artifact in artifacts.items()}
    if job.kind == JobKind.FINETUNE:
        coreset = session.get_one(CoresetRow, job.source_coreset_id)
        inputs[StageName.SELECT.value] = coreset.prefix
    facts = {
        name: {
            "metrics": artifact.metrics,
            "details": artifact.details,
            "seconds": artifact.seconds,
        }
        for name, artifact in artifacts.items()
    }
    return Assignment(
        claim,
        stage.key,
        dataset.prefix,
        inputs,
        parts,
        stage_config(job).model_dump(mode="json"),
        comparison=job.config if job.kind == JobKind.COMPARISON else None,
        shards=stage.shards,
        kills=stage.kills,
        budget=job.budget_samples,
        budget_requested=job.budget_requested,
        facts=facts,
        parts_seconds=sum(artifact.seconds or 0.0 for artifact in made_parts.values()),
    )


def _artifacts_before(
    session: Session, stage: StageRow
) -> tuple[dict[str, ArtifactRow], dict[str, ArtifactRow]]:
    """The results of all stages that ``stage`` stands on, directly or not, and of its own parts.

    The parts of another stage are of no interest: it has merged them.
    """
    found: dict[str, ArtifactRow] = {}
    parts: dict[str, ArtifactRow] = {}
    needs, seen = list(stage.needs), set[str]()
    while needs:
        before = session.get_one(StageRow, needs.pop())
        if before.id in seen:
            continue
        seen.add(before.id)
        needs.extend(before.needs)
        if before.part is not None and before.name != stage.name:
            continue
        artifact = session.scalars(
            select(ArtifactRow).where(ArtifactRow.id == before.artifact_id)
        ).one()
        if before.part is None:
            found[before.name] = artifact
        else:
            number = "" if before.shard is None else f"-{before.shard}"
            parts[f"{before.part}{number}"] = artifact
    return found, parts


def fetch(
    assignment: Assignment, storage: Storage, settings: Settings, scratch: Path
) -> dict[str, Any]:
    """Bring the inputs to local paths; gives the order that the stage's process reads."""
    order: dict[str, Any] = {
        "stage": assignment.name.value,
        "config": assignment.config,
        "comparison": assignment.comparison,
        "budget": assignment.budget,
        "budget_requested": assignment.budget_requested,
        "facts": assignment.facts,
        "dataset": None,
        "inputs": {},
        "parts": {},
        "part": assignment.claim.part,
        "shard": assignment.claim.shard,
        "shards": assignment.shards,
        "pieces": 2**assignment.kills,
        "ingest": None,
        "out": str(scratch / "out"),
        "threads": settings.torch_threads,
        "device": settings.device,
        "memory_bytes": None,
    }
    if assignment.name is StageName.INGEST:
        order["memory_bytes"] = settings.ingest_memory_bytes
        order["ingest"] = {"columns": assignment.columns, "split": assignment.split}
        for role, upload in assignment.uploads.items():
            if upload:
                path = storage.fetch_file(upload["key"], scratch / "uploads")
                order["ingest"][role] = {"path": str(path), "name": upload["filename"]}
        return order
    assert assignment.dataset_prefix is not None
    folder = storage.fetch_folder(assignment.dataset_prefix, scratch / "dataset")
    order["dataset"] = str(folder)
    for name, prefix in assignment.inputs.items():
        order["inputs"][name] = str(storage.fetch_folder(prefix, scratch / "inputs" / name))
    for name, prefix in assignment.parts.items():
        order["parts"][name] = str(storage.fetch_folder(prefix, scratch / "parts" / name))
    return order
