"""Counters of ended runs, summed in this process."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field

from prometheus_client.core import (
    CounterMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from dealrec.app.metrics.repository import EndedRun
from dealrec.app.stages.runs import LEASE_LOST
from dealrec.app.tables.jobs import RunOutcome

_SECONDS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
_LOST = frozenset({LEASE_LOST, "worker_lost"})


@dataclass
class RunCounters:
    """The numbers of ended runs by outcome, and the seconds of successful ones."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Runs by stage and outcome."""
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Failures by stage and code."""
    buckets: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Successes by stage and index of the first bound that is not below the seconds."""
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    gpu_seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, rows: Iterable[EndedRun]) -> "RunCounters":
        """Add runs to the counters."""
        for name, outcome, code, seconds, used_gpu in rows:
            self.outcomes[name, outcome] += 1
            if code is not None:
                self.failures[name, code] += 1
            if outcome == RunOutcome.SUCCEEDED:
                self.buckets[name, bisect_left(_SECONDS, seconds)] += 1
                self.seconds[name] += seconds
            if used_gpu:
                self.gpu_seconds[name] += seconds
        return self

    def copy(self) -> "RunCounters":
        """Copy the counters, so that additions do not change these."""
        return deepcopy(self)

    def families(self) -> Iterator[Metric]:
        """Yield the counters as Prometheus metrics."""
        runs = CounterMetricFamily(
            "dealrec_stage_runs", "Ended runs of stages, by outcome", labels=("stage", "outcome")
        )
        for labels, count in sorted(self.outcomes.items()):
            runs.add_metric(labels, count)
        yield runs
        failures = CounterMetricFamily(
            "dealrec_stage_failures",
            "Runs of stages that failed, by error code",
            labels=("stage", "code"),
        )
        for labels, count in sorted(self.failures.items()):
            failures.add_metric(labels, count)
        yield failures
        lost = sum(count for (_, code), count in self.failures.items() if code in _LOST)
        yield CounterMetricFamily(
            "dealrec_lost_leases", "Runs of stages whose worker vanished", value=lost
        )
        gpu = CounterMetricFamily(
            "dealrec_stage_gpu_seconds", "Total seconds of runs that used a GPU", labels=("stage",)
        )
        for name, seconds in sorted(self.gpu_seconds.items()):
            gpu.add_metric((name,), seconds)
        yield gpu
        yield self._histogram()

    def _histogram(self) -> Metric:
        family = HistogramMetricFamily(
            "dealrec_stage_seconds", "Duration of successful runs, in seconds", labels=("stage",)
        )
        bounds = [*(str(bound) for bound in _SECONDS), "+Inf"]
        for name, seconds in sorted(self.seconds.items()):
            count, buckets = 0, []
            for index, bound in enumerate(bounds):
                count += self.buckets[name, index]
                buckets.append((bound, count))
            family.add_metric((name,), buckets, seconds)
        return family
