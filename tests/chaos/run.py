"""One shape of the service, disturbed from the first job to the last."""

import contextlib
import math
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket

import psutil

from dealrec.app.kit.storage import Storage
from dealrec.worker.sweeper import sweep
from tests.chaos.client import Client, Posted
from tests.chaos.disk import SmallDisk
from tests.chaos.disturbances import BOTH, DEPLOYED, Scene, ended, stages_done
from tests.chaos.judge import Verdict, judge
from tests.chaos.machines import Deployed, Embedded, Machines
from tests.chaos.watch import Moment, Watch
from tests.chaos.work import Outcome, Undisturbed, Work, draw_work

LIMITS = {
    "lease_seconds": 3.0,
    "heartbeat_seconds": 0.5,
    "poll_seconds": 0.05,
    "sweep_seconds": 0.5,
    "cancel_grace_seconds": 2.0,
    "torch_threads": 1,
}
"""Short leases. The numbers of deaths and lost leases that fail a stage stay at their defaults."""

_AHEAD = 4
"""The most jobs at once, and the most beyond those that the disturbances so far account for."""
_END_SECONDS = 240.0
"""The seconds without a stage that ends, after which a run is given up."""


@dataclass
class Result:
    """The outcome of one shape."""

    shape: str
    disturbances: Counter[str] = field(default_factory=Counter)
    """The number of disturbances by kind."""
    hits: Counter[tuple[str, Moment]] = field(default_factory=Counter)
    """The number of hits by stage and moment."""
    jobs: int = 0
    seconds: float = 0.0
    slowest_post: float = 0.0
    slowest_end: float = 0.0
    verdict: Verdict = field(default_factory=Verdict)
    orphans: list[str] = field(default_factory=list)
    """Processes that outlived the services."""


@contextmanager
def machines_of(shape: str, folder: Path, disk: SmallDisk) -> Iterator[Machines]:
    """The servers of a shape, in ``folder``; their files on ``disk``."""
    ports = free_ports(2)
    machines: Machines
    if shape == "sqlite":
        machines = Embedded(disk.folder / "data", folder, ports[0], **LIMITS)
    else:
        # A socket's path may have 100 characters.
        servers = tempfile.TemporaryDirectory(prefix="dealrec-chaos-")
        machines = Deployed(disk.folder / "data", folder, ports, Path(servers.name), **LIMITS)
    try:
        machines.keep_up()
        yield machines
    finally:
        machines.stop()
        if shape != "sqlite":
            servers.cleanup()


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on."""
    sockets = [socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Chaos:
    """Posts jobs at the pace of the disturbances, and disturbs."""

    def __init__(self, scene: Scene, work: Iterator[Work], *, jobs: int, disturbances: int) -> None:
        self._scene = scene
        self._work = work
        self._jobs = jobs
        self._disturbances = disturbances
        scene.post_next = self._post

    def run(self, result: Result) -> None:
        """All disturbances, then until the last job has ended."""
        scene = self._scene
        kinds = {**BOTH, **(DEPLOYED if scene.machines.broker else {})}
        bag = list(kinds)  # each kind once before any comes again
        scene.draw.shuffle(bag)
        while sum(result.disturbances.values()) < self._disturbances:
            self._keep_pace(sum(result.disturbances.values()))
            # Drawn without putting back: each kind comes as often as its weight says.
            if not bag:
                bag = [kind for kind, weight in kinds.items() for _ in range(weight)]
                scene.draw.shuffle(bag)
            kind = bag.pop()
            begun = time.monotonic()
            target = kind(scene)
            seconds = time.monotonic() - begun
            if target is not None:
                result.disturbances[kind.__name__] += 1
                result.hits[target.name, target.moment] += 1
                where = f"{target.name} {target.moment} {target.job_id}"
                print(f"  {kind.__name__:20} {where:60} {seconds:5.1f} s", flush=True)
        while len(scene.jobs) < self._jobs:
            self._post()
        self._wait_for_the_end()

    def _post(self) -> Posted:
        posted = self._scene.client.post(next(self._work))
        self._scene.jobs.append(posted)
        return posted

    def _keep_pace(self, done: int) -> None:
        """No more than a few jobs at once: their later stages are to be disturbed as well."""
        jobs = self._scene.jobs
        due = math.ceil(done / self._disturbances * self._jobs) + _AHEAD
        left = sum(ended(self._scene, job) is None for job in jobs)
        while left < _AHEAD and len(jobs) < min(due, self._jobs):
            self._post()
            left += 1
        if not left:
            self._post()  # nothing would be left to disturb

    def _wait_for_the_end(self) -> None:
        wait_for_the_end(self._scene)
        self._scene.wait(4 * self._scene.machines.settings.sweep_seconds)


def wait_for_the_end(scene: Scene) -> bool:
    """Until every job has ended; ``False`` where for minutes none of their stages did."""
    left, begun = list(scene.jobs), time.monotonic()
    done = 0
    while left and time.monotonic() - begun < _END_SECONDS:
        scene.wait(0.5)
        left = [job for job in left if ended(scene, job) is None]
        if (now := stages_done(scene)) > done:
            done, begun = now, time.monotonic()
    return not left


def chaos(
    shape: str,
    folder: Path,
    undisturbed: Undisturbed,
    *,
    seed: int,
    jobs: int,
    disturbances: int,
    models: bool = True,
) -> Result:
    """Disturb one shape; ``folder`` keeps its logs."""
    folder.mkdir(parents=True, exist_ok=True)
    result, begun = Result(shape), time.monotonic()
    disk = SmallDisk(folder / "disk")
    try:
        with machines_of(shape, folder, disk) as machines:
            client = Client(machines.url, undisturbed.folder, machines.keep_up)
            draw = random.Random(seed)
            watch = Watch(machines.database, machines.settings.data_dir, machines.keep_up, draw)
            scene = Scene(machines, watch, client, draw, disk)
            work = draw_work(seed, models=models)
            Chaos(scene, work, jobs=jobs, disturbances=disturbances).run(result)
            client.close()
            result.slowest_end = max(service.stop() for service in machines.services)
            result.jobs, result.slowest_post = len(scene.jobs), scene.slowest_post
            result.orphans = _orphans(folder)
            result.verdict = _judged(machines, scene.jobs, undisturbed)
    finally:
        disk.remove()
    result.seconds = time.monotonic() - begun
    return result


def _orphans(folder: Path) -> list[str]:
    """Processes of the services (they carry the folder in their environment) that live on."""
    deadline = time.monotonic() + 15
    while True:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("DEALREC_DATA_DIR", "").startswith(str(folder)):
                    found.append(" ".join(process.cmdline()))
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.5)


def _judged(machines: Machines, jobs: list[Posted], undisturbed: Undisturbed) -> Verdict:
    expected: dict[str, Outcome] = {job.work.key: undisturbed(job.work) for job in jobs}
    for _ in range(3):
        at_once = machines.settings.model_copy(update={"orphan_hours": 0})
        sweep(at_once, machines.database, Storage(machines.settings), orphans=True)
    with machines.database.session(write=False) as session:
        return judge(session, machines.settings, jobs, expected)
