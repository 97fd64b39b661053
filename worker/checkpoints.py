"""Checkpoints of a running stage: on this machine, and in storage for a worker on another one.

A checkpoint is one file, replaced whole, that knows what it belongs to. It is a shortcut and no
result: a stage that goes on from any of its checkpoints ends as one that never stopped. So nothing
here is fenced, and a checkpoint that is lost costs time alone.
"""

import shutil
import threading
from datetime import timedelta
from pathlib import Path

import structlog
from sqlalchemy import and_, or_, select

from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.logging import in_context
from dealrec.app.kit.storage import Storage
from dealrec.app.settings import Settings
from dealrec.app.tables.jobs import ENDED_STAGES, JobRow, JobState, StageRow, StageState
from dealrec.worker.claims import Claim

log = structlog.get_logger(__name__)

PREFIX = "checkpoints"


class Checkpoints:
    """One run's checkpoints; as a context it carries them to storage while the run goes on."""

    def __init__(self, settings: Settings, storage: Storage, claim: Claim) -> None:
        self._seconds = settings.checkpoint_seconds
        self._storage = storage
        self._claim = claim
        self._stage = settings.data_dir.absolute() / PREFIX / claim.stage_id
        self._prefix = f"{PREFIX}/{claim.tenant_id}/{claim.stage_id}"
        self._carried: dict[str, tuple[int, int]] = {}
        self._ended = threading.Event()
        carry_on = in_context(self._carry_on)
        self._thread = threading.Thread(target=carry_on, name="checkpoints", daemon=True)
        self.folder = self._stage / str(claim.fence)
        """Where the stage's process finds its checkpoint, and writes the next."""

    def __enter__(self) -> "Checkpoints":
        """Bring the checkpoint of the run before this one, from this machine or from storage.

        The folder carries the fence: a run that lost its lease and still breathes writes elsewhere.
        """
        earlier = self._earlier()
        if earlier is not None and int(earlier.name) == self._claim.fence - 1:
            earlier.rename(self.folder)  # nobody has run it since
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                if not self._fetch() and earlier is not None:
                    shutil.copytree(earlier, self.folder, dirs_exist_ok=True)
            except Exception as error:  # the store is away, or the disk is full
                log.warning("checkpoint not brought", error=type(error).__name__)
                # Half a checkpoint is worse than none.
                shutil.rmtree(self.folder, ignore_errors=True)
                self.folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Carry the last checkpoint: the stage may go on elsewhere."""
        self._ended.set()
        self._thread.join()
        if self.folder.is_dir():  # not forgotten meanwhile
            self._carry()

    def forget(self) -> None:
        """Remove the checkpoints of a stage that has ended for good."""
        shutil.rmtree(self._stage, ignore_errors=True)
        self._storage.delete_prefix(self._prefix)

    def _earlier(self) -> Path | None:
        """The newest folder of this stage on this machine, of an earlier fence."""
        self._stage.mkdir(parents=True, exist_ok=True)
        numbers = [int(path.name) for path in self._stage.iterdir() if path.name.isdecimal()]
        before = [number for number in numbers if number < self._claim.fence]
        return self._stage / str(max(before)) if before else None

    def _fetch(self) -> bool:
        """Bring the files from storage, and say whether there were any."""
        keys = self._storage.keys(self._prefix)
        for key in keys:
            target = self.folder / key.removeprefix(f"{self._prefix}/")
            target.parent.mkdir(parents=True, exist_ok=True)
            found = self._storage.fetch_file(key, target.parent)
            if found != target:
                shutil.copyfile(found, target)
        return bool(keys)

    def _carry_on(self) -> None:
        while not self._ended.wait(self._seconds):
            self._carry()

    def _carry(self) -> None:
        """Store the files that are new since the last time; an error here is not the stage's error."""
        try:
            for path in sorted(self.folder.rglob("*")):
                if not path.is_file() or path.name.startswith("."):
                    continue
                state = path.stat()
                mark = (state.st_mtime_ns, state.st_size)
                name = path.relative_to(self.folder).as_posix()
                if self._carried.get(name) != mark:
                    self._storage.put_file(f"{self._prefix}/{name}", path)
                    self._carried[name] = mark
        except Exception as error:  # the store is away, or the file was replaced just now
            log.warning("checkpoint not carried to storage", error=type(error).__name__)


def remove_ended(database: Database, storage: Storage, settings: Settings) -> None:
    """Remove checkpoints, here and in storage, of stages that nobody will go on with.

    Those of a failed job are kept for its retry, for ``failed_checkpoint_days``.
    """
    local = settings.data_dir.absolute() / PREFIX
    here = {path.name for path in local.iterdir()} if local.is_dir() else set()
    there = {key.split("/")[2]: "/".join(key.split("/")[:3]) for key in storage.keys(PREFIX)}
    if not here and not there:
        return
    with database.session(write=False) as session:
        since = database_now(session) - timedelta(days=settings.failed_checkpoint_days)
        for_a_retry = and_(
            StageRow.state != StageState.SUCCEEDED,
            JobRow.state == JobState.FAILED,
            JobRow.finished_at > since,
        )
        wanted = set(
            session.scalars(
                select(StageRow.id)
                .outerjoin(JobRow, JobRow.id == StageRow.job_id)
                .where(
                    StageRow.id.in_(here | there.keys()),
                    or_(StageRow.state.not_in(ENDED_STAGES), for_a_retry),
                )
            )
        )
    for name in here - wanted:
        shutil.rmtree(local / name, ignore_errors=True)
    for name in there.keys() - wanted:
        storage.delete_prefix(there[name])
