"""SIGTERM to each kind of process, in the middle of a stage and with a stream open.

``pytest -s`` prints the seconds.
"""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from dealrec.app.jobs.lifecycle import stages_of
from dealrec.app.tables.jobs import JobRow, StageRow
from tests.chaos.client import Client, Posted
from tests.chaos.machines import STOP_SECONDS, Deployed, Embedded, Machines, Service
from tests.chaos.run import free_ports
from tests.chaos.work import Work
from tests.worker.processes import until

ENDLESS = Work(
    "endless",
    "small",
    8,
    {"effort": None, "surrogate": {"epochs": 10_000, "patience": 10_000}},
    own_upload=False,
)
SETTINGS = {"sweep_seconds": 1.0, "torch_threads": 1}


class Busy:
    """A service that trains, and somebody who follows its events."""

    def __init__(self, machines: Machines, folder: Path) -> None:
        self.machines = machines
        client = Client(machines.url, folder, machines.keep_up)
        self.job: Posted = client.post(ENDLESS)
        client.close()
        until(lambda: self.surrogate().progress is not None, 60)
        streaming = threading.Event()
        threading.Thread(target=self._follow, args=(streaming,), daemon=True).start()
        assert streaming.wait(60)

    def surrogate(self) -> StageRow:
        with self.machines.database.session(write=False) as session:
            return stages_of(session, session.get_one(JobRow, self.job.id))[0]

    def worker(self) -> Service:
        """Whose process runs the stage."""
        owner = int(str(self.surrogate().owner).split(":")[1])
        return next(
            service
            for service in self.machines.services
            if owner in {process.pid for process in service.family()}
        )

    def assert_given_back(self) -> None:
        stage = self.surrogate()
        assert (stage.state, stage.attempt, stage.deaths, stage.lost_leases) == ("queued", 0, 0, 0)
        assert list(self.machines.settings.data_dir.rglob("surrogate.pt"))

    def _follow(self, streaming: threading.Event) -> None:
        address = f"{self.machines.url}/v1/jobs/{self.job.id}/events"
        headers = {"accept": "text/event-stream"}
        try:
            with httpx.stream("GET", address, headers=headers, timeout=60) as answer:
                for _ in answer.iter_lines():
                    streaming.set()
        except httpx.TransportError:
            pass  # the server has ended


@contextmanager
def running(machines: Machines, folder: Path) -> Iterator[Busy]:
    try:
        machines.keep_up()
        yield Busy(machines, folder)
    finally:
        machines.stop()


def seconds_to_stop(what: str, service: Service) -> float:
    seconds = service.stop()
    print(f"{what}: {seconds:.1f} s from SIGTERM to its end")
    return seconds


def test_the_embedded_server_ends_in_time_and_gives_its_stage_back(tmp_path: Path) -> None:
    machines = Embedded(tmp_path / "data", tmp_path, free_ports(1)[0], **SETTINGS)
    with running(machines, tmp_path) as busy:
        assert seconds_to_stop("embedded server", machines.api) < STOP_SECONDS
        busy.assert_given_back()


def test_api_and_celery_worker_end_in_time_and_the_stage_is_given_back(
    tmp_path: Path,
) -> None:
    # A socket's path may have 100 characters.
    with (
        tempfile.TemporaryDirectory(prefix="dealrec-stop-") as servers,
        running(
            Deployed(tmp_path / "data", tmp_path, free_ports(2), Path(servers), **SETTINGS),
            tmp_path,
        ) as busy,
    ):
        machines = busy.machines
        worker = busy.worker()
        others = [service for service in machines.workers if service is not worker]
        for other in others:  # nobody else may take the stage up
            assert seconds_to_stop("idle Celery worker", other) < STOP_SECONDS
        assert seconds_to_stop("API", machines.api) < STOP_SECONDS
        assert busy.surrogate().state == "running"
        assert seconds_to_stop("busy Celery worker", worker) < STOP_SECONDS
        busy.assert_given_back()
