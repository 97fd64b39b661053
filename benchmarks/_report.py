"""Shared by every benchmark: targets, the device in words, and the last line."""

import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from dealrec.environment import processor


@dataclass(frozen=True)
class Target:
    """One claim: what was aimed for, what came out."""

    name: str
    target: str
    """As a person writes it: ``<= 2.5``."""
    measured: float | None
    holds: bool | None
    """``None`` where this device cannot show it."""


@dataclass
class Stopwatch:
    """Seconds of a :func:`timed` block."""

    seconds: float = 0.0


@contextmanager
def timed() -> Iterator[Stopwatch]:
    """Wall-clock seconds of the block, kept in the stopwatch it gives."""
    watch = Stopwatch()
    started = time.perf_counter()
    try:
        yield watch
    finally:
        watch.seconds = time.perf_counter() - started


def peak_memory_mib() -> float:
    """The largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def device_text() -> str:
    """The device that torch would use: a GPU's name, or the processor and the cores allowed."""
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{processor()}, {cores} cores"


def finish(name: str, targets: list[Target]) -> None:
    """Print the targets for people, then the one JSON object that is the last line."""
    for target in targets:
        verdict = {True: "holds", False: "MISSED", None: "not shown here"}[target.holds]
        measured = "-" if target.measured is None else f"{target.measured:.6g}"
        print(f"{target.name:60} {target.target:>14} {measured:>14}  {verdict}")
    line = {"name": name, "device": device_text(), "targets": [asdict(item) for item in targets]}
    print(json.dumps(line), flush=True)
