"""Renews a claim's lease and carries its news to the database, in a thread of its own."""

import threading
import time

import structlog
from sqlalchemy.exc import SQLAlchemyError

from dealrec.app.kit.database import Database
from dealrec.app.kit.logging import in_context
from dealrec.app.settings import Settings
from dealrec.app.tables.jobs import StoredProgress
from dealrec.worker.claims import Claim, Standing, beat
from dealrec.worker.messages import Event, Progress
from dealrec.worker.process import StageProcess

log = structlog.get_logger(__name__)

_BEAT_SECONDS = 1.0
_CURVE_SECONDS = 5.0
"""Curves are written so often: they are larger than the other news."""


class Heart:
    """Beats about once a second: writes progress, sees a cancel, renews when it is time.

    The lease is renewed only while the stage's process is heard of: one that is stopped loses it.
    While there is no process (inputs are fetched), this process itself is the proof of life; files
    that are uploaded count likewise.
    """

    def __init__(self, database: Database, settings: Settings, claim: Claim) -> None:
        self._database = database
        self._settings = settings
        self._claim = claim
        self._process: StageProcess | None = None
        self._began = self._renewed = time.monotonic()
        self._drawn = time.monotonic()
        self._written: tuple[Progress | None, dict[str, float]] = (None, {})
        self._last: tuple[Progress | None, dict[str, float], list[Event]] = (None, {}, [])
        self._used_gpu = False
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=in_context(self._beat_all), name="heart", daemon=True
        )
        self.standing = Standing.GOOD

    def __enter__(self) -> "Heart":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def watch(self, process: StageProcess) -> None:
        """Beat only while ``process`` is alive from now on."""
        self._process = process

    def last(self) -> None:
        """Write the last news of a process that has ended well; the claim stays alive without it.

        It may be called again if the database was away; the news are kept for that.
        """
        process, self._process = self._process, None
        if process is not None:
            self._last = (process.progress, process.metrics, process.take_events())
            self._used_gpu = process.used_gpu
        progress, metrics, events = self._last
        beat(
            self._database,
            self._claim,
            lease_seconds=self._settings.lease_seconds,
            progress=None if progress is None else self._stored(progress, process),
            metrics=metrics,
            used_gpu=self._used_gpu,
            events=events,
        )

    def _stored(self, progress: Progress, process: StageProcess | None) -> StoredProgress:
        """The progress with its times, from which it follows how long the rest takes."""
        stored = StoredProgress(done=progress.done, total=progress.total, unit=progress.unit)
        pace = None if process is None else process.pace
        if pace is not None:
            stored["seconds"] = round(pace.last - self._began, 2)
            stored["first_done"] = pace.first_done
            stored["first_seconds"] = round(pace.first - self._began, 2)
        return stored

    def stop(self) -> None:
        """Stop beating; no beat happens after this."""
        self._ended.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _beat_all(self) -> None:
        pause = min(_BEAT_SECONDS, self._settings.heartbeat_seconds)
        while not self._ended.wait(pause):
            try:
                standing = self._beat()
            except SQLAlchemyError as error:
                # The database is away. The lease may pass meanwhile; the fence keeps that safe.
                log.warning("no heartbeat", error=type(error).__name__)
                continue
            if standing is not Standing.GOOD:
                self.standing = standing
            if standing is Standing.LOST:
                return

    def _beat(self) -> Standing:
        process, now = self._process, time.monotonic()
        due = now - self._renewed >= self._settings.heartbeat_seconds
        alive = process is None or process.silent_seconds < self._settings.heartbeat_seconds
        lease = self._settings.lease_seconds if due and alive else None
        news = (process.progress, process.metrics) if process else self._written
        progress, metrics = news
        changed = news != self._written
        draw = process is not None and changed and now - self._drawn >= _CURVE_SECONDS
        if draw:
            self._drawn = now
        news_of_gpu = process is not None and process.used_gpu and not self._used_gpu
        standing = beat(
            self._database,
            self._claim,
            lease_seconds=lease,
            progress=self._stored(progress, process) if progress and changed else None,
            metrics=metrics if changed else None,
            curves=process.curves if process and draw else None,
            used_gpu=news_of_gpu,
            events=process.take_events() if process else (),
        )
        self._written = news
        self._used_gpu = self._used_gpu or news_of_gpu
        if lease is not None:
            self._renewed = now
        return standing
