"""Metrics of all workers. They are other processes, so a scrape reads the database."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.dispatch import QUEUES
from dealrec.app.metrics import repository
from dealrec.app.metrics.runs import RunCounters
from dealrec.app.stages.work import queued_stages, worker_queues
from dealrec.app.stages.workers import SEEN_SECONDS
from dealrec.app.tables.jobs import StageState

_LOG = structlog.get_logger("dealrec.metrics")
_KEPT_SECONDS = 5.0
"""Scrapes within this time get the same answer."""
_DRIFTED = 100
"""The number of versions whose drift is told, the newest first."""
_SETTLED_SECONDS = 120.0
"""After this time no transaction can still commit an earlier end of a run."""


class WorkCollector(Collector):
    """Gauges show the tables as they are now; counters start with this process, as Prometheus expects.

    Runs are counted once they cannot change any more, so that each scrape reads only those of the
    last minutes. Every API process reports the same, so aggregate over instances with ``max``.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._begun = time.monotonic()
        self._lock = threading.Lock()
        self._answer: list[Metric] = []
        self._answered = -_KEPT_SECONDS
        self._settled = RunCounters()
        self._settled_until: datetime | None = None
        self._claims = 0

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the last seconds, or only ``dealrec_database_up`` 0 without a database."""
        with self._lock:
            if time.monotonic() - self._answered >= _KEPT_SECONDS:
                self._answer = self._asked()
                self._answered = time.monotonic()
            yield from self._answer

    def _asked(self) -> list[Metric]:
        up = GaugeMetricFamily("dealrec_database_up", "Whether the database answers")
        try:
            with self._database.session(write=False) as session:
                found = [*self._gauges(session), *self._counters(session)]
        except SQLAlchemyError as error:
            _LOG.warning("database_not_ready", error=type(error).__name__)
            up.add_metric((), 0)
            return [up]
        up.add_metric((), 1)
        return [up, *found]

    def _gauges(self, session: Session) -> Iterator[Metric]:
        now = database_now(session)
        depth = GaugeMetricFamily(
            "dealrec_queue_depth", "Stages that are waiting for a worker", labels=("queue",)
        )
        oldest = GaugeMetricFamily(
            "dealrec_queue_oldest_seconds",
            "How long the longest-waiting stage has been waiting",
            labels=("queue",),
        )
        queued = {queue: (count, since) for queue, count, since in queued_stages(session)}
        for queue in QUEUES:
            count, since = queued.get(queue, (0, None))
            depth.add_metric((queue,), count)
            waited = (now - since).total_seconds() if since else 0.0
            oldest.add_metric((queue,), max(0.0, waited))
        stages = GaugeMetricFamily(
            "dealrec_stages", "Stages that have not ended", labels=("stage", "state")
        )
        for name, state, count in repository.open_stages(session):
            stages.add_metric((name, state), count)
        jobs = GaugeMetricFamily("dealrec_jobs", "Jobs that have not ended", labels=("state",))
        for state, count in repository.open_jobs(session):
            jobs.add_metric((state,), count)
        seen = worker_queues(session, now, SEEN_SECONDS)
        takers = Counter(queue for queues in seen for queue in queues)
        workers = GaugeMetricFamily(
            "dealrec_workers", "Workers seen within the last minute, by queue", labels=("queue",)
        )
        for queue in QUEUES:
            workers.add_metric((queue,), takers[queue])
        yield from (depth, oldest, stages, jobs, workers)
        yield from _of_schedules(session, now)
        yield _of_drift(session)

    def _counters(self, session: Session) -> Iterator[Metric]:
        now = database_now(session)
        if self._settled_until is None:
            self._settled_until = now - timedelta(seconds=time.monotonic() - self._begun)
        settled = max(self._settled_until, now - timedelta(seconds=_SETTLED_SECONDS))
        if settled > self._settled_until:
            self._settled.add(repository.ended_runs(session, self._settled_until, settled))
            self._settled_until = settled
        runs = self._settled.copy().add(repository.ended_runs(session, settled, None))
        running = sum(
            count
            for _, state, count in repository.open_stages(session)
            if state == StageState.RUNNING
        )
        # A run that ends between the two queries must not look like a counter reset.
        self._claims = max(self._claims, runs.outcomes.total() + running)
        yield CounterMetricFamily(
            "dealrec_stage_claims",
            "Number of times a worker has claimed a stage",
            value=self._claims,
        )
        yield from runs.families()


def _of_schedules(session: Session, now: datetime) -> Iterator[Metric]:
    schedules = GaugeMetricFamily("dealrec_schedules", "Schedules", labels=("state",))
    states = repository.schedule_states(session)
    for active, words in ((True, "active"), (False, "paused")):
        schedules.add_metric((words,), states.get(active, 0))
    due = repository.most_overdue(session)
    late = max(0.0, (now - due).total_seconds()) if due is not None else 0.0
    yield schedules
    yield GaugeMetricFamily(
        "dealrec_schedule_overdue_seconds",
        "How long the most overdue schedule has been due",
        value=late,
    )
    ticks = GaugeMetricFamily(
        "dealrec_schedule_ticks", "Ticks of existing schedules, by outcome", labels=("outcome",)
    )
    for outcome, count in repository.tick_sums(session).items():
        ticks.add_metric((outcome,), count)
    yield ticks


def _of_drift(session: Session) -> Metric:
    drift = GaugeMetricFamily(
        "dealrec_dataset_drift",
        "How far a data set version has drifted from the previous version",
        labels=("dataset_id", "figure"),
    )
    for identifier, figures in repository.drifted(session, _DRIFTED):
        for figure, value in (figures or {}).items():
            drift.add_metric((identifier, figure), value)
    return drift
