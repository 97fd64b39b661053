"""Whether a disturbed service did what an undisturbed one does: all is read from rows and files."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow.parquet as pq
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.adapters import AdapterRow
from dealrec.app.tables.coresets import CoresetRow
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.jobs import (
    ArtifactRow,
    EventRow,
    JobRow,
    JobState,
    ScoreRow,
    StageRow,
    StageState,
)
from tests.chaos.client import Posted
from tests.chaos.work import Outcome, weights_sha256


@dataclass
class Verdict:
    """The faults, in words; the figures are their numbers."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    redone: list[str] = field(default_factory=list)
    differ: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.redone or self.differ)


def judge(
    session: Session, settings: Settings, jobs: list[Posted], expected: dict[str, Outcome]
) -> Verdict:
    """Look at every job that the service took; ``expected`` by the key of its work."""
    verdict = Verdict()
    storage = Storage(settings)
    for job in jobs:
        verdict.lost.extend(_lost(session, job))
        verdict.duplicated.extend(_duplicated(session, job))
        verdict.redone.extend(_redone(session, job.id))
        verdict.differ.extend(_different(session, storage, job, expected[job.work.key]))
    verdict.duplicated.extend(_taken_twice(session))
    verdict.duplicated.extend(_nobodys_files(session, settings))
    return verdict


def _lost(session: Session, job: Posted) -> Iterator[str]:
    """A job that was taken and has not come to its end: succeeded, or cancelled where asked to."""
    row = session.get(JobRow, job.id)
    good = {JobState.SUCCEEDED, JobState.CANCELLED} if job.asked_to_cancel else {JobState.SUCCEEDED}
    if row is None:
        yield f"{job.work.name}: job {job.id} has vanished"
    elif row.state not in good:
        yield f"{job.work.name}: job {job.id} is {row.state}: {row.error}"
    elif row.state == JobState.SUCCEEDED:
        stages = session.scalars(select(StageRow).where(StageRow.job_id == job.id)).all()
        for stage in stages:
            if stage.state != StageState.SUCCEEDED or stage.artifact_id is None:
                yield f"{job.work.name}: {stage.name} is {stage.state}, its job has succeeded"


def _duplicated(session: Session, job: Posted) -> Iterator[str]:
    """One coreset and at most one adapter, each sample's scores once, each event once, in order."""
    row = session.get(JobRow, job.id)
    if row is None:
        return
    done = int(row.state == JobState.SUCCEEDED)
    wanted: dict[type[CoresetRow] | type[AdapterRow], int] = {
        CoresetRow: done,
        AdapterRow: done if job.work.config.get("finetune") else 0,
    }
    for table, number in wanted.items():
        count = session.scalar(
            select(func.count()).select_from(table).where(table.job_id == job.id)
        )
        # A job that was cancelled late may have its coreset.
        if count != number and not (job.asked_to_cancel and count in (0, 1)):
            yield f"{job.work.name}: {count} {table.__tablename__}, not {number}"
    scores = session.scalar(select(func.count()).where(ScoreRow.job_id == job.id))
    dataset = session.get_one(DatasetRow, row.dataset_id)
    samples = (dataset.counts or {}).get("samples_per_user")
    if done and scores != samples:
        yield f"{job.work.name}: {scores} scores of {samples} samples"
    events = session.scalars(
        select(EventRow).where(EventRow.job_id == job.id).order_by(EventRow.sequence)
    ).all()
    if [event.sequence for event in events] != list(range(1, row.event_count + 1)):
        yield f"{job.work.name}: the sequence of its events has gaps"
    ends = Counter(event.kind for event in events if event.kind in ("job.succeeded", "job.failed"))
    if sum(ends.values()) > 1:
        yield f"{job.work.name}: it ended more than once: {dict(ends)}"


def _redone(session: Session, job_id: str) -> Iterator[str]:
    """A stage that was claimed again after it had succeeded, or that worked beside a finished result.

    The first is read from the events; the second from the artifact that the stage points to: it is
    the one of the stage's last claim, or the stage says that it was reused.
    """
    events = session.scalars(
        select(EventRow).where(EventRow.job_id == job_id).order_by(EventRow.sequence)
    ).all()
    finished: set[Any] = set()
    for event in events:
        which = (event.stage, event.data.get("part"), event.data.get("shard"))
        if event.kind == "stage.running" and which in finished:
            yield f"{job_id}: {which} ran again after it had succeeded"
        if event.kind == "stage.succeeded":
            if which in finished:
                yield f"{job_id}: {which} succeeded twice"
            finished.add(which)
    query = select(StageRow, ArtifactRow).join(ArtifactRow, StageRow.artifact_id == ArtifactRow.id)
    for stage, artifact in session.execute(query.where(StageRow.job_id == job_id)):
        if stage.reused:
            continue
        if not artifact.prefix.endswith(f"/{stage.id}/{stage.fence}"):
            yield f"{job_id}: {stage.name} points to {artifact.prefix}, its fence is {stage.fence}"


def _different(session: Session, storage: Storage, job: Posted, expected: Outcome) -> Iterator[str]:
    """A coreset whose hash, or whose stored members, or whose adapter's weights are not the expected."""
    for coreset in session.scalars(select(CoresetRow).where(CoresetRow.job_id == job.id)):
        if coreset.sha256 != expected.coreset:
            yield f"{job.work.name}: coreset {coreset.sha256[:12]}, not {expected.coreset[:12]}"
        path = storage.fetch_file(f"{coreset.prefix}/members.parquet", Path())
        if pq.read_metadata(path).num_rows != coreset.size:
            yield f"{job.work.name}: the members' file is not whole"
    for adapter in session.scalars(select(AdapterRow).where(AdapterRow.job_id == job.id)):
        names = [file["name"] for file in adapter.files if file["name"].endswith(".safetensors")]
        files = [storage.fetch_file(f"{adapter.prefix}/{name}", Path()) for name in names]
        if weights_sha256(files) != expected.adapter:
            yield f"{job.work.name}: the adapter's weights differ"


def _taken_twice(session: Session) -> Iterator[str]:
    """Jobs that a repeated request made once more."""
    names = Counter((row.job_metadata or {}).get("work") for row in session.scalars(select(JobRow)))
    for name, count in names.items():
        if count > 1:
            yield f"{name}: taken {count} times"


def _nobodys_files(session: Session, settings: Settings) -> Iterator[str]:
    """Stored files that no row points to and working folders, once the sweepers had their turn."""
    for work in settings.data_dir.rglob("work"):
        yield from (f"nobody's working folder: {folder.name}" for folder in work.iterdir())
    prefixes = [
        str(prefix)
        for table in (ArtifactRow, DatasetRow, CoresetRow, AdapterRow)
        for prefix in session.scalars(select(table.prefix).where(table.prefix.is_not(None)))
    ]
    for dataset in session.scalars(select(DatasetRow)):
        prefixes += [file["key"] for file in dataset.uploads.values() if file]
    root = Path(urlsplit(settings.resolved_storage_url).path)
    for path in sorted(root.rglob("*")):
        key = path.relative_to(root).as_posix()
        if path.is_file() and not any(key == at or key.startswith(f"{at}/") for at in prefixes):
            yield f"nobody's file: {key}"
