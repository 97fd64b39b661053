"""The inputs and options of one run, read once from the database, and the order to its process."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from dealrec.app.datasets.addresses import fetched_allowed
from dealrec.app.jobs.composition import comparison_config, continued, stage_config, target_use
from dealrec.app.jobs.continuing import earlier_prefixes
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.adapters import AdapterRow
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow, StoredFile, stored_files
from dealrec.app.tables.jobs import ArtifactRow, JobKind, JobRow, StageRow, StageState
from dealrec.config import ComparisonConfig, DataOptions, PruneConfig
from dealrec.config.continuation import Continued
from dealrec.config.curve import TargetUse
from dealrec.config.runtime import Runtime
from dealrec.config.stages import (
    STAGES,
    Phase,
    Product,
    StageName,
    StagePart,
    StagePlace,
    by_run,
    require_unchanged,
)
from dealrec.stages.context import IngestFile, IngestFiles, RunInputs, StageFacts
from dealrec.worker.claims import Claim
from dealrec.worker.messages import StageOrder


@dataclass(frozen=True)
class Uploads:
    """The files of a data set that is to be validated, and how they are read."""

    files: Mapping[str, StoredFile | None]
    """The files by role: ``interactions``, ``items`` and ``samples``."""
    options: DataOptions

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(
            one["bytes"] for file in self.files.values() if file for one in stored_files(file)
        )

    def fetch(self, storage: Storage, settings: Settings, folder: Path) -> IngestFiles:
        """Bring the files to ``folder``; raises :class:`InputError` where an address cannot be read."""
        found: dict[str, IngestFile] = {}
        for role, file in self.files.items():
            if file:
                first, *further = (
                    _fetched(one, storage, settings, folder / f"{role}-{at}")
                    for at, one in enumerate(stored_files(file))
                )
                found[role] = first.model_copy(update={"further": tuple(further)})
        return IngestFiles(options=self.options, **found)


def _fetched(file: StoredFile, storage: Storage, settings: Settings, folder: Path) -> IngestFile:
    if "address" in file:
        path = fetched_allowed(settings, file["address"], folder)
    else:
        path = storage.fetch_file(file["key"], folder)
    return IngestFile(path=path, name=file["filename"], renamed=file.get("renamed", {}))


@dataclass(frozen=True)
class Assignment:
    """Where a claimed stage's inputs lie in storage, and its options."""

    claim: Claim
    key: str | None = None
    loads: dict[str, object] | None = None
    """What its language model consisted of when the key was made."""
    dataset_prefix: str | None = None
    """That of the data set; for ``ingest`` that of the version that files are appended to."""
    inputs: list[dict[StageName, str]] = field(default_factory=lambda: [{}])
    """The storage prefix of each stage that this one stands on, run after run; most stages have one."""
    parts: dict[str, str] = field(default_factory=dict)
    """The storage prefix of each part of this stage if it is shared: ``plan``, ``shard-0``, …."""
    adapter_prefix: str | None = None
    """The storage prefix of the adapter that a training goes on from."""
    config: PruneConfig = field(default_factory=PruneConfig)
    comparison: ComparisonConfig | None = None
    shards: int = 1
    """How many shards there are, for a shard."""
    kills: int = 0
    """How often an earlier run ended for lack of memory."""
    budget: int = 0
    budget_requested: int | float = 0
    target: TargetUse | None = None
    continued: Continued | None = None
    earlier: dict[str, str] = field(default_factory=dict)
    """The storage prefixes of the earlier job that this one goes on from."""
    facts: list[dict[StageName, StageFacts]] = field(default_factory=lambda: [{}])
    """The facts of the same stages."""
    parts_seconds: float = 0.0
    """How long it took to make the parts."""
    uploads: Uploads | None = None
    """The files to validate, for ``ingest``."""

    @property
    def name(self) -> StageName:
        return StageName(self.claim.name)

    def require_unchanged(self) -> None:
        """Check that the language model is the one of the key; raises :class:`InputError`."""
        require_unchanged(STAGES[self.name], self.config, self.loads)

    @property
    def product(self) -> Product:
        """The kind of the result; a part of a shared stage becomes an artifact alone."""
        return Product.ARTIFACT if self.claim.part else STAGES[self.name].product

    @property
    def prefix(self) -> str:
        """The place of this run's files; the fence is part of it, so that no two runs share it."""
        claim = self.claim
        if self.uploads is not None:
            return f"datasets/{claim.tenant_id}/{claim.dataset_id}/{claim.fence}"
        return f"artifacts/{claim.tenant_id}/{claim.stage_id}/{claim.fence}"


def read_assignment(session: Session, claim: Claim) -> Assignment:
    """Read everything that the run needs to know; the session only reads."""
    stage = session.get_one(StageRow, claim.stage_id)
    dataset = session.get_one(DatasetRow, claim.dataset_id)
    if claim.job_id is None:
        options = DataOptions.parse(dataset.options, location="options")
        before = None if dataset.parent_id is None else _version(session, dataset)
        return Assignment(claim, dataset_prefix=before, uploads=Uploads(dataset.uploads, options))
    job = session.get_one(JobRow, claim.job_id)
    artifacts, made_parts = _artifacts_before(session, stage)
    runs = by_run(STAGES[StageName(stage.name)], artifacts)
    inputs = [{name: artifacts[place].prefix for name, place in run.items()} for run in runs]
    if job.kind == JobKind.FINETUNE:
        coreset = session.get_one(CoresetRow, job.source_coreset_id)
        inputs[0][StageName.SELECT] = coreset.prefix
    config = stage_config(job, stage.run)
    return Assignment(
        claim,
        stage.key,
        stage.loads,
        dataset.prefix,
        inputs,
        {name: artifact.prefix for name, artifact in made_parts.items()},
        _start(session, stage, config),
        config,
        comparison_config(job),
        shards=stage.shards or 1,
        kills=stage.kills,
        budget=job.budget_samples or 0,
        budget_requested=job.budget_requested or 0,
        target=target_use(job),
        continued=(going_on := continued(job)),
        earlier=earlier_prefixes(session, job.tenant_id, StageName(stage.name), going_on),
        facts=[{name: _facts(artifacts[place]) for name, place in run.items()} for run in runs],
        parts_seconds=sum(artifact.seconds or 0.0 for artifact in made_parts.values()),
    )


def _version(session: Session, dataset: DatasetRow) -> str:
    """The storage prefix of the version that files are appended to, which cannot be deleted meanwhile."""
    parent = session.get_one(DatasetRow, dataset.parent_id)
    assert parent.prefix is not None
    return parent.prefix


def _start(session: Session, stage: StageRow, config: PruneConfig) -> str | None:
    """The prefix of the adapter that a training goes on from; ``None`` also where it was deleted."""
    if stage.name != StageName.FINETUNE or config.finetune is None:
        return None
    return session.scalar(
        select(AdapterRow.prefix).where(
            AdapterRow.tenant_id == stage.tenant_id, AdapterRow.id == config.finetune.from_adapter
        )
    )


def _facts(artifact: ArtifactRow) -> StageFacts:
    return StageFacts(metrics=artifact.metrics, details=artifact.details, seconds=artifact.seconds)


def _artifacts_before(
    session: Session, stage: StageRow
) -> tuple[dict[StagePlace, ArtifactRow], dict[str, ArtifactRow]]:
    """The results of all stages that ``stage`` stands on, directly or not, and of its own parts.

    The parts of another stage are of no interest: it has merged them.
    """
    found: dict[StagePlace, ArtifactRow] = {}
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
        if before.state == StageState.SKIPPED or not _reads(stage, before):
            continue
        artifact = session.scalars(
            select(ArtifactRow).where(ArtifactRow.id == before.artifact_id)
        ).one()
        if before.part is None:
            found[before.place] = artifact
        else:
            number = "" if before.shard is None else f"-{before.shard}"
            parts[f"{before.part}{number}"] = artifact
    return found, parts


def _reads(stage: StageRow, before: StageRow) -> bool:
    """Whether ``stage`` reads the result; others wait for headroom, and the comparison alone reads it."""
    comparing = STAGES[StageName(before.name)].phase is Phase.COMPARISON
    return not comparing or STAGES[StageName(stage.name)].phase is Phase.COMPARISON


def fetch(
    assignment: Assignment,
    storage: Storage,
    settings: Settings,
    *,
    scratch: Path,
    checkpoint_dir: Path,
) -> StageOrder:
    """Bring the inputs to local paths in ``scratch``, and make the order that the process reads."""
    claim, uploads, prefix = assignment.claim, assignment.uploads, assignment.dataset_prefix
    start = assignment.adapter_prefix
    inputs = [
        {
            name: storage.fetch_folder(prefix, scratch / "inputs" / str(run) / name)
            for name, prefix in group.items()
        }
        for run, group in enumerate(assignment.inputs)
    ]
    return StageOrder(
        stage=assignment.name,
        out=scratch / "out",
        checkpoint_dir=checkpoint_dir,
        tick_seconds=min(2.0, settings.heartbeat_seconds / 3),
        runtime=Runtime(settings.torch_threads, settings.device),
        memory_bytes=settings.ingest_memory_bytes if uploads else None,
        files=uploads.fetch(storage, settings, scratch / "uploads") if uploads else None,
        dataset=storage.fetch_folder(prefix, scratch / "dataset") if prefix else Path(),
        inputs=inputs[0],
        later_runs=[
            RunInputs(inputs=folders, facts=facts)
            for folders, facts in zip(inputs[1:], assignment.facts[1:], strict=True)
        ],
        adapter=storage.fetch_folder(start, scratch / "adapter") if start else None,
        parts={
            name: storage.fetch_folder(prefix, scratch / "parts" / name)
            for name, prefix in assignment.parts.items()
        },
        facts=assignment.facts[0],
        config=assignment.config,
        comparison=assignment.comparison,
        budget=assignment.budget,
        budget_requested=assignment.budget_requested,
        target=assignment.target,
        continued=assignment.continued,
        earlier={
            name: storage.fetch_folder(prefix, scratch / "earlier" / name)
            for name, prefix in assignment.earlier.items()
        },
        part=StagePart(claim.part) if claim.part else None,
        shard=claim.shard or 0,
        shards=assignment.shards,
        pieces=2**assignment.kills,
    )
