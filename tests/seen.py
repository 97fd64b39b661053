"""``pytest -p tests.seen``: the lines of ours that run in the tests' own processes, as data of Coverage.py.

Coverage.py itself traces every call of every library on Python 3.11, which made tests half slower. SlipCover
puts probes into our code alone when it is imported. Each process writes a file; ``coverage combine`` follows.
"""

from pathlib import Path

import pytest
from coverage import CoverageData
from slipcover import (  # type: ignore[import-untyped]  # it ships no types
    FileMatcher,
    ImportManager,
    Slipcover,
)

ROOT = Path(__file__).parents[1]
FOLDERS = [ROOT / folder for folder in ("app", "dealrec", "worker")]
# Probes stay where they are: to take them out, SlipCover looks through modules that other threads change.
PROBES = Slipcover(d_miss_threshold=-1)
ImportManager(PROBES, FileMatcher(sources=FOLDERS)).__enter__()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Write what was seen of every file; of one that was not imported nothing was."""
    lines: dict[str, list[int]] = {}
    for folder in FOLDERS:
        lines |= {str(path.relative_to(ROOT)): [] for path in folder.rglob("*.py")}
    for name, file in PROBES.get_coverage()["files"].items():
        lines[str(Path(name).resolve().relative_to(ROOT))] = file["executed_lines"]
    data = CoverageData(str(ROOT / ".coverage"), suffix=True)
    data.add_lines(lines)
    data.write()
