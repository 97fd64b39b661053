"""Starts real worker processes for tests, and ends them."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from dealrec.app.settings import Settings
from dealrec.config import PruneConfig
from dealrec.config.runtime import Runtime
from dealrec.config.stages import StageName
from dealrec.worker.messages import StageOrder

ROOT = Path(__file__).parents[2]
FORK_SERVER = "dealrec.worker.fork_server"


def plain_order(stage: StageName, folder: Path, dataset: Path | None = None) -> StageOrder:
    """An order of a stage in ``folder`` that stands on nothing; its ``dataset`` is not there by default."""
    return StageOrder(
        stage=stage,
        out=folder / "out",
        checkpoint_dir=folder / "checkpoints",
        tick_seconds=0.1,
        runtime=Runtime(),
        memory_bytes=None,
        dataset=dataset or folder / "none",
        inputs={},
        facts={},
        adapter=None,
        later_runs=[],
        parts={},
        config=PruneConfig(audit={}, finetune={}),
        comparison=None,
        budget=1,
        budget_requested=1,
        target=None,
        files=None,
        part=None,
        shard=0,
        shards=1,
        pieces=1,
    )


def environment(settings: Settings) -> dict[str, str]:
    """The settings as the variables that a process reads them from."""
    given = settings.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    variables = {f"DEALREC_{name.upper()}": str(value) for name, value in given.items()}
    ours = {name for name in os.environ if name.startswith("DEALREC_")} - {"DEALREC_MODELS"}
    clean = {name: value for name, value in os.environ.items() if name not in ours}
    return {**clean, **variables}


@contextmanager
def embedded(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """``python -m dealrec.worker.loop``."""
    with _process([sys.executable, "-m", "dealrec.worker.loop"], settings) as process:
        yield process


@contextmanager
def celery_worker(settings: Settings, queues: str) -> Iterator[subprocess.Popen[bytes]]:
    """``dealrec worker --queues …``."""
    command = [sys.executable, "-m", "dealrec", "worker", "--queues", queues]
    with _process(command, settings) as process:
        yield process


@contextmanager
def _process(command: list[str], settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with (settings.data_dir / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment(settings), stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)  # on a busy machine two workers once took more than 20 s
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def stages_below(process: psutil.Process) -> list[psutil.Process]:
    """The processes of stages that ``process``, a worker, waits for."""
    found = []
    for child in process.children():
        with contextlib.suppress(psutil.Error):
            if child.name().startswith("stage:"):
                found.append(child)
    return found


def fork_servers_below(process: psutil.Process) -> list[psutil.Process]:
    """The processes that ``process``, a worker, has stages forked from; one, once it needed any."""
    forks = {stage.pid for stage in stages_below(process)}
    found = []
    for child in process.children():
        with contextlib.suppress(psutil.Error):
            if child.pid not in forks and FORK_SERVER in child.cmdline():
                found.append(child)
    return found


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Waits for ``condition``; fails after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
