"""How the process of a stage starts, and what becomes of it when others die."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from dealrec.config.stages import StageName
from dealrec.worker import process as of_stages
from dealrec.worker.forks import ForkServer, fork_server
from dealrec.worker.messages import Raised, StageOrder
from dealrec.worker.process import StageProcess
from dealrec.worker.system import Adoption
from tests.worker.processes import (
    FORK_SERVER,
    ROOT,
    fork_servers_below,
    plain_order,
    stages_below,
    until,
)

ANEW = "dealrec.worker.child"


def order_in(folder: Path, stage: StageName = StageName.AUDIT) -> StageOrder:
    """A stage that waits until somebody writes into its data set's pipe, and cannot read that."""
    (folder / "dataset").mkdir()
    os.mkfifo(folder / "dataset" / "dataset.json")
    return plain_order(stage, folder, dataset=folder / "dataset")


def ended(process: StageProcess, folder: Path) -> StageProcess:
    """Lets the stage read something that is no data set."""
    (folder / "dataset" / "dataset.json").write_text("none")
    until(lambda: process.wait(0.1), 60)
    return process


def below(process: psutil.Process) -> psutil.Process:
    """The one stage's process of a worker, once it is there."""
    until(lambda: len(stages_below(process)) == 1, 60)
    return stages_below(process)[0]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[StageProcess]:
    with StageProcess(order_in(tmp_path), tmp_path, fork=True) as process:
        yield process
    assert stages_below(psutil.Process()) == []


def test_a_stage_is_a_fork_that_its_worker_has_adopted(stage: StageProcess, tmp_path: Path) -> None:
    found = below(psutil.Process())
    assert FORK_SERVER in found.cmdline()
    assert found.ppid() == os.getpid()
    assert os.getsid(found.pid) == os.getpgid(found.pid) == found.pid
    printed = Path(f"/proc/{found.pid}/fd/1").readlink()
    assert printed == tmp_path / "output.log"
    assert not stage.wait(0.05)
    assert stage.look_at_memory() > 0
    found.kill()
    until(lambda: stage.wait(0.1), 60)
    assert (stage.was_killed, stage.how_it_died()) == (True, "signal SIGKILL")


def test_a_stage_outlives_the_server_that_it_was_forked_from(
    stage: StageProcess, tmp_path: Path
) -> None:
    below(psutil.Process())
    first = fork_server().pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert isinstance(ended(stage, tmp_path).ending, Raised)
    (tmp_path / "next").mkdir()
    with StageProcess(order_in(tmp_path / "next"), tmp_path / "next", fork=True):
        assert FORK_SERVER in below(psutil.Process()).cmdline()
        assert fork_server().pid != first


@pytest.fixture
def stopped_server(tmp_path: Path) -> int:
    """A server that takes an order and does not carry it out."""
    folder = tmp_path / "before"
    folder.mkdir()
    with StageProcess(order_in(folder), folder, fork=True):
        below(psutil.Process())
    server = fork_server().pid
    assert server is not None
    os.kill(server, signal.SIGSTOP)
    return server


def test_a_stage_starts_anew_where_the_server_dies_before_it_forks(
    stopped_server: int, stage: StageProcess, tmp_path: Path
) -> None:
    assert not stage.wait(0.2)
    assert stage.silent_seconds >= 0.2
    os.kill(stopped_server, signal.SIGKILL)
    until(lambda: stage.wait(0.1) or bool(stages_below(psutil.Process())), 60)
    assert ANEW in below(psutil.Process()).cmdline()
    assert isinstance(ended(stage, tmp_path).ending, Raised)


def test_a_stage_that_is_not_forked_yet_can_be_ended(
    stopped_server: int, stage: StageProcess
) -> None:
    stage.ask_to_stop()
    stage.kill()
    assert not psutil.pid_exists(stopped_server)


def test_stages_start_anew_where_the_worker_cannot_adopt_a_fork(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Adoption, "begin", lambda _: None)
    own = ForkServer()
    monkeypatch.setattr(of_stages, "fork_server", lambda: own)
    with StageProcess(order_in(tmp_path), tmp_path, fork=True) as process:
        until(lambda: process.wait(0.1) or bool(stages_below(psutil.Process())), 60)
        assert ANEW in below(psutil.Process()).cmdline()
        assert isinstance(ended(process, tmp_path).ending, Raised)
    own.end()


def test_libraries_of_language_models_and_comparisons_leave_a_fork_fit(tmp_path: Path) -> None:
    with StageProcess(order_in(tmp_path, StageName.COMPARE), tmp_path, fork=True) as process:
        until(lambda: process.wait(0.1) or bool(stages_below(psutil.Process())), 240)
        process.kill()
    server = fork_server().pid
    assert server in {one.pid for one in fork_servers_below(psutil.Process())}


def test_nothing_outlives_a_worker_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", f"from {__name__} import serve; serve({str(tmp_path)!r})"]
    worker = subprocess.Popen(command, cwd=ROOT)
    seen = psutil.Process(worker.pid)
    below(seen)
    family = seen.children(recursive=True)
    assert len(family) == 2
    worker.kill()
    worker.wait()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


def serve(folder: str) -> None:
    """Wait for a stage's end, as a worker does."""
    with StageProcess(order_in(Path(folder)), Path(folder), fork=True) as process:
        while not process.wait(1):
            pass


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="NumPy starts no threads on one core")
def test_stages_start_anew_where_a_library_has_started_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    own = ForkServer()
    monkeypatch.setattr(of_stages, "fork_server", lambda: own)
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        with StageProcess(order_in(folder), folder, fork=True) as process:
            until(lambda p=process: p.wait(0.1) or bool(stages_below(psutil.Process())), 60)  # type: ignore[misc]
            assert ANEW in below(psutil.Process()).cmdline()
            assert isinstance(ended(process, folder).ending, Raised)
    own.end()
