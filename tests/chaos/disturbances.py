"""Disturbances of the service. Each says whether it came about."""

import contextlib
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import CONFLICT
from typing import Any

import psutil
from celery import Celery
from redis.exceptions import RedisError
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from dealrec.app.kit.dispatch import QUEUES
from dealrec.app.kit.storage import Storage
from dealrec.app.stages.wakeups import TASK
from dealrec.app.tables.jobs import JobRow, JobState, StageRow, StageState
from dealrec.worker.sweeper import sweep
from tests.chaos.client import Client, Posted
from tests.chaos.disk import SmallDisk
from tests.chaos.machines import Machines
from tests.chaos.watch import LIFE, WITH_A_PROCESS, Moment, Running, Watch
from tests.worker.processes import fork_servers_below


@dataclass
class Scene:
    """Everything that a disturbance may touch."""

    machines: Machines
    watch: Watch
    client: Client
    draw: random.Random
    disk: SmallDisk
    jobs: list[Posted] = field(default_factory=list)
    post_next: Callable[[], Posted | None] = lambda: None
    """Posts the next job where there is one."""
    slowest_post: float = 0.0
    """Seconds of the slowest ``POST`` while the broker was away."""

    def target(
        self,
        suits: Callable[[Running], bool] = lambda _: True,
        moments: tuple[Moment, ...] = LIFE,
    ) -> Running | None:
        """A stage at a moment of its life, as it is right now."""
        return self.watch.find(suits, moments)

    def wait(self, seconds: float) -> None:
        """Wait, while supervisors start again what has died."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.machines.keep_up()
            time.sleep(0.05)

    @property
    def past_the_lease(self) -> float:
        settings = self.machines.settings
        return settings.lease_seconds + 2 * settings.sweep_seconds + 0.5


def _may_die(scene: Scene) -> Callable[[Running], bool]:
    """Whether one more death leaves the stage an attempt: a stage may die twice by default."""
    limit = scene.machines.settings.max_deaths - 1
    return lambda running: running.deaths < limit and running.state == StageState.RUNNING


def kill_child(scene: Scene) -> Running | None:
    """SIGKILL to the process of a stage."""
    target = scene.target(_may_die(scene), WITH_A_PROCESS)
    child = target.child() if target else None
    if child is None:
        return None
    with contextlib.suppress(psutil.Error):
        child.kill()
    return target


def kill_fork_server(scene: Scene) -> Running | None:
    """SIGKILL to the process that a worker's stages are forked from; none of them dies with it."""
    target = scene.target()
    owner = target.owner_process() if target else None
    if owner is None:
        return None
    with contextlib.suppress(psutil.Error):
        for server in fork_servers_below(owner):
            server.kill()
            return target
    return None


def kill_worker(scene: Scene) -> Running | None:
    """SIGKILL to the process that holds a claim (embedded: the loop; Celery: the pool's process)."""
    target = scene.target()
    owner = target.owner_process() if target else None
    if owner is None:
        return None
    with contextlib.suppress(psutil.Error):
        owner.kill()
    return target


def lose_machine(scene: Scene) -> Running | None:
    """SIGKILL to a worker's service and everything below it."""
    target = scene.target()
    services = scene.machines.workers or [scene.machines.api]
    for service in services:
        if target and target.owner in {process.pid for process in service.family()}:
            service.kill_all()
            return target
    return None


def kill_worker_main(scene: Scene) -> Running | None:
    """SIGKILL to Celery's main process; the pool's process is left to itself."""
    target = scene.target()
    for service in scene.machines.workers:
        if target and target.owner in {process.pid for process in service.family()}:
            service.kill()
            return target
    return None


def end_worker(scene: Scene) -> Running | None:
    """SIGTERM to a worker, as a deployment does."""
    target = scene.target()
    services = scene.machines.workers or [scene.machines.api]
    for service in services:
        if target and target.owner in {process.pid for process in service.family()}:
            service.signal(signal.SIGTERM)
            return target
    return None


def kill_api(scene: Scene) -> Running | None:
    """SIGKILL to the API's process; embedded, the worker's parent is gone with it."""
    target = scene.target()
    scene.machines.api.kill()
    return target


def stop_child(scene: Scene) -> Running | None:
    """SIGSTOP to a stage's process until its lease is lost, then SIGCONT."""
    target = scene.target(moments=WITH_A_PROCESS)
    child = target.child() if target else None
    if child is None:
        return None
    return _stopped(scene, child, target)


def stop_worker(scene: Scene) -> Running | None:
    """SIGSTOP to the process that holds a claim until it is lost, then SIGCONT."""
    target = scene.target()
    owner = target.owner_process() if target else None
    if owner is None:
        return None
    return _stopped(scene, owner, target)


def _stopped(scene: Scene, process: psutil.Process, target: Running | None) -> Running | None:
    with contextlib.suppress(psutil.Error):
        process.suspend()
        scene.wait(scene.past_the_lease)
        # Where the only worker is stopped, an operator's `dealrec sweep` is what takes its lease.
        machines = scene.machines
        with contextlib.suppress(SQLAlchemyError):
            sweep(machines.settings, machines.database, Storage(machines.settings))
        process.resume()
    return target


def cancel(scene: Scene) -> Running | None:
    """A client cancels one of its jobs; never more than one in ten."""
    if sum(job.asked_to_cancel for job in scene.jobs) >= len(scene.jobs) / 10:
        return None
    target = scene.target()
    for job in scene.jobs:
        if target and job.id == target.job_id:
            job.asked_to_cancel = True
            scene.client.ask(job, "cancel")
            return target
    return None


def hold(scene: Scene) -> Running | None:
    """A client pauses a job, and has it go on a little later."""
    target = scene.target(moments=WITH_A_PROCESS)
    for job in scene.jobs:
        if target and job.id == target.job_id and not job.asked_to_cancel:
            if scene.client.ask(job, "pause") == CONFLICT:
                return None  # it has ended in the meantime
            scene.wait(scene.draw.uniform(0.0, 2.0))
            while scene.client.job(job.id)["state"] == JobState.PAUSING:
                scene.wait(0.1)
            scene.client.ask(job, "resume")
            return target
    return None


def fill_disk(scene: Scene) -> Running | None:
    """No byte is free for a moment, for stages, files and (embedded) the database alike."""
    if not scene.disk.mounted:
        return None
    limit = _may_die(scene)
    target = scene.target(limit, WITH_A_PROCESS)
    if target is None or not all(limit(other) for other in scene.watch.look()):
        return None
    scene.disk.fill()
    try:
        scene.wait(scene.draw.uniform(0.3, 1.0))
    finally:
        scene.disk.free()
    return target


def duplicate_messages(scene: Scene) -> Running | None:
    """Every stage's message once more: of those that wait, run, and have ended."""
    target = scene.target()
    try:
        with scene.machines.database.session(write=False) as session:
            found = [
                (row.id, row.queue)
                for row in session.execute(
                    select(StageRow.id, StageRow.queue)
                    .order_by(StageRow.queued_at.desc().nulls_last())
                    .limit(12)
                )
            ]
    except SQLAlchemyError:
        return None
    assert scene.machines.broker is not None
    celery: Any = Celery("chaos", broker=scene.machines.broker.url, set_as_current=False)
    for stage_id, queue in found:
        celery.send_task(TASK, args=[stage_id], queue=queue, ignore_result=True, retry=False)
    celery.close()
    return target


def drop_messages(scene: Scene) -> Running | None:
    """The messages of both queues vanish."""
    assert scene.machines.broker is not None
    target = scene.target()
    scene.machines.broker.client().delete(*QUEUES)
    return target


def empty_broker(scene: Scene) -> Running | None:
    """FLUSHALL: messages, bindings, what was delivered and not acknowledged."""
    assert scene.machines.broker is not None
    target = scene.target()
    with contextlib.suppress(RedisError):
        scene.machines.broker.client().flushall()
    return target


def restart_broker(scene: Scene) -> Running | None:
    """The broker dies and comes back empty; jobs are taken meanwhile."""
    broker = scene.machines.broker
    assert broker is not None
    target = scene.target()
    broker.kill()
    try:
        posted = scene.post_next()
        if posted is not None:
            scene.slowest_post = max(scene.slowest_post, posted.seconds)
        scene.wait(scene.draw.uniform(0.2, 3.0))
    finally:
        broker.start()
    return target


def restart_postgres(scene: Scene) -> Running | None:
    """An immediate shutdown: connections break in the middle of whatever they did."""
    assert scene.machines.postgres is not None
    target = scene.target()
    scene.machines.postgres.restart(scene.draw.uniform(0.1, 2.0))
    return target


Disturbance = Callable[[Scene], Running | None]

BOTH: dict[Disturbance, int] = {
    kill_child: 5,
    kill_fork_server: 2,
    kill_worker: 4,
    lose_machine: 2,
    end_worker: 2,
    kill_api: 3,
    stop_child: 2,
    stop_worker: 2,
    cancel: 1,
    hold: 2,
    fill_disk: 2,
}
"""Disturbances of both shapes, and how often each is drawn."""

DEPLOYED: dict[Disturbance, int] = {
    kill_worker_main: 2,
    duplicate_messages: 3,
    drop_messages: 2,
    empty_broker: 2,
    restart_broker: 2,
    restart_postgres: 3,
}
"""Disturbances that need a broker or a database server."""


def ended(scene: Scene, job: Posted) -> JobState | None:
    """The state of a job that has ended; raises nothing while the database is away."""
    try:
        with scene.machines.database.session(write=False) as session:
            state = session.scalars(select(JobRow.state).where(JobRow.id == job.id)).one_or_none()
    except SQLAlchemyError:
        return None
    over = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
    return JobState(state) if state in over else None


def stages_done(scene: Scene) -> int:
    """How many stages have succeeded; 0 while the database is away."""
    done = select(func.count()).where(StageRow.state == StageState.SUCCEEDED)
    try:
        with scene.machines.database.session(write=False) as session:
            return session.scalar(done) or 0
    except SQLAlchemyError:
        return 0
