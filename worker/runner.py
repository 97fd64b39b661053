"""Runs one claimed stage from its inputs to its publication; the same for both shapes."""

import math
import shutil
import threading
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TypeVar

import structlog
from sqlalchemy.exc import OperationalError

from dealrec.app.kit.database import Database
from dealrec.app.kit.errors import QuotaExceeded
from dealrec.app.kit.storage import Storage
from dealrec.app.kit.traces import Span, work_span
from dealrec.app.quotas.service import require_gpu_time
from dealrec.app.settings import Settings
from dealrec.app.stages.transitions import Stale
from dealrec.config.stages import STAGES, Product, Queue, StageName
from dealrec.errors import DealrecError, InputError
from dealrec.worker import claims
from dealrec.worker.assignment import Assignment, fetch, read_assignment
from dealrec.worker.checkpoints import Checkpoints
from dealrec.worker.claims import Claim, Standing
from dealrec.worker.heart import Heart
from dealrec.worker.messages import Finished, NoMemory, Raised, Refused, StageOrder
from dealrec.worker.problems import (
    OutOfMemory,
    StageDied,
    StageKilled,
    StageRaised,
    TooExpensive,
)
from dealrec.worker.process import StageProcess
from dealrec.worker.publication import Result, find_artifact, publish, remove_unreferenced
from dealrec.worker.scratch import scratch_folder

log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.1
_Answer = TypeVar("_Answer")


class _End(Enum):
    """Why the parent stopped waiting for the process."""

    ENDED = "ended"
    STOPPED = "stopped"
    LOST = "lost"
    SHUTDOWN = "shutdown"
    TIMEOUT = "timeout"
    MEMORY = "memory"


class Runner:
    """One worker's runner; ``stopping`` is set when the worker shuts down."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        storage: Storage,
        stopping: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._database = database
        self._storage = storage
        self._stopping = stopping

    def run(self, claim: Claim) -> None:
        """Run the stage to whatever end it comes to; writes nothing once the claim is lost."""
        scratch = scratch_folder(self._settings, claim)
        bound = {
            "tenant": claim.tenant_id,
            "job_id": claim.job_id,
            "dataset_id": claim.dataset_id,
            "stage_id": claim.stage_id,
            "stage": claim.name,
            "attempt": claim.attempt,
            "fence": claim.fence,
        }
        facts = {f"dealrec__{name}": value for name, value in bound.items()}
        with (
            structlog.contextvars.bound_contextvars(**bound),
            work_span(f"stage {claim.name}", claim.trace, claim.queued_at, **facts) as span,
        ):
            scratch.mkdir(parents=True)
            try:
                with Heart(self._database, self._settings, claim) as heart:
                    self._run(claim, heart, scratch, span)
                log.info("stage run ended")
            except Stale:
                log.warning("claim lost; nothing written")
                span.fail("claim_lost")
            finally:
                shutil.rmtree(scratch, ignore_errors=True)

    def _run(self, claim: Claim, heart: Heart, scratch: Path, span: Span) -> None:
        try:
            with self._database.session(write=False) as session:
                assignment = read_assignment(session, claim)
            checkpoints = Checkpoints(self._settings, self._storage, claim)
            result = find_artifact(self._database, assignment)
            if result is None:
                self._require_gpu_time(claim)
                assignment.require_unchanged()
                with work_span("fetch inputs"):
                    order = fetch(
                        assignment,
                        self._storage,
                        self._settings,
                        scratch=scratch,
                        checkpoint_dir=checkpoints.folder,
                    )
                with work_span("run"):
                    result = self._compute(assignment, order, heart, scratch, checkpoints, span)
            else:
                span.note(dealrec__reused=True)
            if result is not None:
                heart.stop()
                with work_span("publish"):
                    self._publish(assignment, result, scratch)
                checkpoints.forget()
        except Stale:
            raise
        except (QuotaExceeded, InputError) as error:
            heart.stop()
            problem = error.to_problem()
            span.fail(error.code)
            self._retried(lambda: claims.fail(self._database, claim, problem))
        except Exception as error:
            # An unreachable store, a full disk or a bug of ours counts like a death of the process.
            log.exception("stage run failed")
            span.fail(type(error).__name__)
            heart.stop()
            death = StageRaised(type(error).__name__)
            self._retried(lambda: claims.died(self._database, self._settings, claim, death))

    def _publish(self, assignment: Assignment, result: Result, scratch: Path) -> None:
        try:
            self._retried(
                lambda: publish(self._database, self._storage, assignment, result, scratch)
            )
        finally:
            # Delete files that no database row references, whatever has happened.
            remove_unreferenced(self._database, self._storage, assignment.prefix)

    def _require_gpu_time(self, claim: Claim) -> None:
        """Raise ``QuotaExceeded`` when the GPU time is spent; a retry of the job goes on from there."""
        if STAGES[StageName(claim.name)].queue is Queue.GPU:
            with self._database.session(write=False) as session:
                require_gpu_time(session, claim.tenant_id)

    def _compute(
        self,
        assignment: Assignment,
        order: StageOrder,
        heart: Heart,
        scratch: Path,
        checkpoints: Checkpoints,
        span: Span,
    ) -> Result | None:
        """Run the process, and return the uploaded result, or ``None`` if the end is already written."""
        fork = self._settings.fork_stages
        with checkpoints, StageProcess(order, scratch, fork=fork) as process:
            heart.watch(process)
            end = self._wait(assignment, process, heart)
            if end in (_End.STOPPED, _End.SHUTDOWN):
                self._stop(process)
            process.kill()
        if end is _End.LOST:
            raise Stale
        ending = process.ending
        if isinstance(ending, Finished):
            self._retried(heart.last)
            assignment.require_unchanged()
            stored = self._upload(assignment, scratch / "out")
            # Progress and metrics of the run, then the stage's own, which win.
            peak = {"peak_memory_bytes": float(process.peak_memory_bytes)}
            metrics = {**process.metrics, **peak, **ending.metrics}
            prefix, curves = assignment.prefix, process.curves
            return Result(prefix, ending.details, metrics, stored, curves=curves or None)
        heart.stop()
        code = self._retried(lambda: self._unfinished(assignment, process, end))
        if code is not None:
            span.fail(code)
        return None

    def _upload(self, assignment: Assignment, out: Path) -> int:
        try:
            return self._storage.put_folder(assignment.prefix, out)
        except BaseException:
            self._storage.delete_prefix(assignment.prefix)
            raise

    def _wait(self, assignment: Assignment, process: StageProcess, heart: Heart) -> _End:
        ingest = assignment.product is Product.DATASET
        limit = self._settings.ingest_seconds if ingest else None
        memory = None if ingest else self._settings.stage_memory_bytes
        begun = time.monotonic()
        while not process.wait(_POLL_SECONDS):
            if heart.standing is Standing.LOST:
                return _End.LOST
            if heart.standing is Standing.STOP:
                return _End.STOPPED
            if self._stopping():
                return _End.SHUTDOWN
            if process.look_at_memory() > (memory or math.inf):
                return _End.MEMORY
            if limit is not None and time.monotonic() - begun > limit:
                return _End.TIMEOUT
        return _End.ENDED

    def _stop(self, process: StageProcess) -> None:
        process.ask_to_stop()
        process.wait(self._settings.cancel_grace_seconds)

    def _unfinished(
        self,
        assignment: Assignment,
        process: StageProcess,
        end: _End,
    ) -> str | None:
        """Write how a run without a result has ended; return the code of its problem, if it has one."""
        claim, ending = assignment.claim, process.ending
        for_memory = isinstance(ending, NoMemory)
        if isinstance(ending, Refused):
            claims.fail(self._database, claim, ending.problem)
            return str(ending.problem["code"])
        if end in (_End.STOPPED, _End.SHUTDOWN):
            claims.release(self._database, claim)
            return None
        if end is _End.TIMEOUT or (for_memory and assignment.product is Product.DATASET):
            memory = f"{self._settings.ingest_memory_bytes / 2**20:,.0f} MiB"
            limit = f"{self._settings.ingest_seconds:g} seconds" if end is _End.TIMEOUT else memory
            problem = TooExpensive(limit)
            claims.fail(self._database, claim, problem.to_problem())
            return problem.code
        death = _death(process, end, self._settings.stage_memory_bytes)
        # The process's output may quote rows; it is all there is when no message came.
        output = process.output() if ending is None else None
        said = ending.model_dump(exclude={"used_gpu"}) if ending else {"kind": "died"}
        log.error(death.code, **said, how=process.how_it_died(), output=output)
        claims.died(self._database, self._settings, claim, death)
        return death.code

    def _retried(self, write: Callable[[], _Answer]) -> _Answer:
        """Call ``write`` again and again while the database is away, for as long as a lease lasts."""
        deadline = time.monotonic() + self._settings.lease_seconds
        pause = threading.Event()
        while True:
            try:
                return write()
            except OperationalError:
                if time.monotonic() > deadline:
                    raise
                pause.wait(1.0)


def _death(process: StageProcess, end: _End, memory: int | None) -> DealrecError:
    """The problem of a process without a result: memory, an exception, a kill, or any other death."""
    if end is _End.MEMORY:
        return OutOfMemory(memory)
    match process.ending:
        case NoMemory():
            return OutOfMemory(None)
        case Raised(type=kind):
            return StageRaised(kind)
    if process.was_killed:
        return StageKilled()
    return StageDied(process.how_it_died())
