"""Finds leaks of a service after 200 jobs: processes, open files, connections, scratch folders."""

import contextlib
import itertools
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from sqlalchemy import text

from tests.chaos.client import Client
from tests.chaos.disk import SmallDisk
from tests.chaos.disturbances import Scene
from tests.chaos.machines import Machines
from tests.chaos.run import machines_of, wait_for_the_end
from tests.chaos.watch import Watch
from tests.chaos.work import Undisturbed, draw_work

_KEEP_ALIVE_SECONDS = 7.0
_KINDS = 6
"""Different jobs; the others reuse their results, and differ in nothing but that they are others."""


@dataclass(frozen=True)
class Held:
    """Resources of all services together, at one moment at rest."""

    processes: int
    open_files: int
    connections: int
    """Connections that PostgreSQL counts; 0 on SQLite, whose connections are open files."""
    scratch: int
    """Files and folders in the folders for things in the making."""


@dataclass(frozen=True)
class Leaks:
    """Before and after."""

    before: Held
    after: Held

    @property
    def left_behind(self) -> int:
        """Sum of what has grown."""
        before, after = asdict(self.before), asdict(self.after)
        return sum(max(0, after[name] - before[name]) for name in before)


def count_leaks(shape: str, folder: Path, undisturbed: Undisturbed, jobs: int = 200) -> Leaks:
    """Run ``jobs`` jobs, undisturbed, and count before and after."""
    folder.mkdir(parents=True, exist_ok=True)
    disk = SmallDisk(folder / "disk")
    try:
        with machines_of(shape, folder, disk) as machines:
            client = Client(machines.url, undisturbed.folder, machines.keep_up)
            draw = random.Random(0)
            watch = Watch(machines.database, machines.settings.data_dir, machines.keep_up, draw)
            scene = Scene(machines, watch, client, draw, disk)
            _run(scene, 2 * _KINDS)
            before = _at_rest(machines)
            _run(scene, jobs)
            after = _at_rest(machines)
            client.close()
            return Leaks(before, after)
    finally:
        disk.remove()


def _run(scene: Scene, jobs: int) -> None:
    kinds = itertools.cycle(itertools.islice(draw_work(1, models=False), _KINDS))
    scene.jobs = [scene.client.post(work) for work in itertools.islice(kinds, jobs)]
    assert wait_for_the_end(scene), "the jobs do not come to an end"


def _at_rest(machines: Machines) -> Held:
    """Once two looks in a row see the same, and kept-alive connections of callers have ended."""
    time.sleep(_KEEP_ALIVE_SECONDS)
    last = None
    for _ in range(20):
        time.sleep(1.0)
        now = _held(machines)
        if now == last:
            return now
        last = now
    assert last is not None
    return last


def _held(machines: Machines) -> Held:
    processes = [
        process
        for service in machines.services
        for process in [psutil.Process(service.pid), *service.family()]
    ]
    files = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            files += process.num_fds()
    connections = 0
    if machines.database.is_postgres:
        with machines.database.session(write=False) as session:
            others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
            connections = int(session.scalar(text(f"{others} AND pid <> pg_backend_pid()")))
    root = machines.settings.data_dir
    names = {"work", "scratch", "checkpoints"}
    making = [path for path in root.rglob("*") if path.is_dir() and path.name in names]
    scratch = sum(1 for folder in making for _ in folder.rglob("*"))
    return Held(len(processes), files, connections, scratch)
