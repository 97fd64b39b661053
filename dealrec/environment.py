"""The machine and the libraries that a result was computed with, for manifests."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypedDict


class Environment(TypedDict):
    """Where something was computed. Results are the same to the byte where all but the threads are."""

    platform: str
    """The operating system and the machine's architecture."""
    processor: str
    accelerator: str | None
    """The GPU that torch used, if any."""
    python: str
    torch: str | None
    threads: int
    """The threads that torch was allowed."""


def environment() -> Environment:
    """Describe this process; torch is not loaded for it."""
    torch = sys.modules.get("torch")
    accelerator = None
    if torch is not None and torch.cuda.is_initialized():
        accelerator = torch.cuda.get_device_name()
    return {
        "platform": platform.platform(),
        "processor": processor(),
        "accelerator": accelerator,
        "python": platform.python_version(),
        "torch": _version("torch"),
        "threads": 1 if torch is None else torch.get_num_threads(),
    }


def processor() -> str:
    """Return the name of the processor."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
