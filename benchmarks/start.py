"""What does it cost to start the process of a stage: as a fork, and anew?

``python -m benchmarks.start``: the processor time from the order until the stage has its libraries and finds
that its data set is not there. Medians; the first fork of a stage, for which the server loads, is apart.
"""

import argparse
import os
import tempfile
from pathlib import Path
from statistics import median

from benchmarks._report import Target, finish
from dealrec.config.stages import StageName
from dealrec.worker.forks import fork_server
from dealrec.worker.messages import Raised
from dealrec.worker.process import StageProcess
from tests.worker.processes import plain_order

_STAGES = (StageName.AUDIT, StageName.SURROGATE, StageName.EFFORT, StageName.FINETUNE)


def main() -> None:
    """Print a table, and the target as the last line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="of each kind")
    options = parser.parse_args()
    shares = []
    for stage in _STAGES:
        first, _ = _started(stage, fork=True)
        forked = [_started(stage, fork=True) for _ in range(options.runs)]
        anew = [_started(stage, fork=False) for _ in range(options.runs)]
        of_fork, of_anew = (median(cpu for cpu, _ in runs) for runs in (forked, anew))
        memory_of_fork, memory = (max(peak for _, peak in runs) / 2**20 for runs in (forked, anew))
        shares.append(of_fork / of_anew)
        print(
            f"{stage:10} fork {of_fork:.3f} s, anew {of_anew:.2f} s of processor time; first fork "
            f"{first:.2f} s with the loading; memory {memory_of_fork:.0f} MiB, anew {memory:.0f} MiB",
            flush=True,
        )
    fork_server().end()
    worst = max(shares)
    target = Target(
        "a fork's share of a new process's time, worst stage", "< 0.1", worst, worst < 0.1
    )
    finish("start", [target])


def _started(stage: StageName, *, fork: bool) -> tuple[float, int]:
    """Seconds of processor time, those of the fork server included, and the memory of its own."""
    with tempfile.TemporaryDirectory(prefix="dealrec-bench-") as name:
        folder, begun = Path(name), _seconds()
        with StageProcess(plain_order(stage, folder), folder, fork=fork) as process:
            while not process.wait(0.01):
                process.look_at_memory()
            if not isinstance(process.ending, Raised):
                raise RuntimeError(process.output())
        return _seconds() - begun, process.peak_memory_bytes


def _seconds() -> float:
    """Processor time of processes that have ended, and of the server."""
    ended = os.times()
    total = ended.children_user + ended.children_system
    if (server := fork_server().pid) is not None:
        fields = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
    return total


if __name__ == "__main__":
    main()
