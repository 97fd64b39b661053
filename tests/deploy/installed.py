"""The built distribution in environments of its own, without a download.

An environment gets the wheel, and links to those packages of the tests' environment that the wheel
asks for with its extras: what an extra forgets to name is not there.
"""

import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PathDistribution, distribution
from pathlib import Path
from zipfile import Path as ZipPath
from zipfile import ZipFile

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]


def source_tree(folder: Path) -> Path:
    """A copy of the files that the image builds its wheel from; a build leaves nothing in the checkout."""
    stage = (ROOT / "Dockerfile").read_text().split("\nFROM")[1]
    for line in re.findall(r"^COPY (.*)", stage, re.MULTILINE):
        for name in line.split()[:-1]:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
            else:
                shutil.copy(ROOT / name, folder)
    return folder


def build_wheel(source: Path, out: Path) -> Path:
    """The wheel of a source tree or an sdist."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--no-cache-dir", "--wheel-dir", out, source], check=True)
    (wheel,) = out.glob("*.whl")
    return wheel


def build_sdist(source: Path, out: Path) -> Path:
    """The sdist of a source tree."""
    program = f"from setuptools import build_meta; build_meta.build_sdist({str(out)!r})"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=source, capture_output=True)
    (sdist,) = out.glob("*.tar.gz")
    return sdist


def files_of(wheel: Path) -> list[str]:
    with ZipFile(wheel) as archive:
        return sorted(archive.namelist())


@dataclass(frozen=True)
class Environment:
    """A virtual environment and an empty folder to run commands in."""

    folder: Path
    work: Path

    @property
    def variables(self) -> dict[str, str]:
        return {
            name: value
            for name, value in os.environ.items()
            if name not in ("PYTHONPATH", "VIRTUAL_ENV") and not name.startswith("DEALREC_")
        } | {"COLUMNS": "120", "NO_COLOR": "1", "TERMINAL_WIDTH": "120"}

    def command(self, *arguments: str | Path) -> list[str]:
        return [str(self.folder / "bin" / "dealrec"), *map(str, arguments)]

    def dealrec(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return self._run(self.command(*arguments))

    def python(self, program: str) -> subprocess.CompletedProcess[str]:
        return self._run([str(self.folder / "bin" / "python"), "-c", program])

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.work, env=self.variables, capture_output=True, text=True, timeout=120
        )


def install(wheel: Path, extras: str, folder: Path) -> Environment:
    """An environment as ``pip install dealrec[extras]`` makes it, in ``folder``."""
    environment = Environment(folder / "venv", folder / "work")
    environment.work.mkdir(parents=True)
    venv.create(environment.folder, symlinks=True)
    (packages,) = environment.folder.glob("lib/python*/site-packages")
    for name in needed(wheel, extras):
        for entry in top_level(name):
            link = packages / entry.name
            if not link.exists():
                link.symlink_to(entry)
    pip = [sys.executable, "-m", "pip", "--python", str(environment.folder / "bin" / "python")]
    options = ["--quiet", "--no-deps", "--no-index", "--no-cache-dir"]
    subprocess.run([*pip, "install", *options, wheel], check=True, env=environment.variables)
    return environment


def needed(wheel: Path, extras: str) -> set[str]:
    """Every distribution that the wheel asks for with its extras, and what these ask for."""
    (info,) = (path for path in ZipPath(wheel).iterdir() if path.name.endswith(".dist-info"))
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    open_ = [Requirement(f"dealrec[{extras}]" if extras else "dealrec")]
    while open_:
        asked = open_.pop()
        for extra in ("", *asked.extras):
            if (asked.name, extra) in seen:
                continue
            seen.add((asked.name, extra))
            own = asked.name == "dealrec"
            # A path within an archive is all that `PathDistribution` reads metadata through.
            lists = PathDistribution(info) if own else distribution(asked.name)
            if not own:
                found.add(asked.name)
            inner = map(Requirement, lists.requires or ())
            open_ += [r for r in inner if r.marker is None or r.marker.evaluate({"extra": extra})]
    return found


def top_level(name: str) -> Iterator[Path]:
    """The files and folders that a distribution has in its ``site-packages``."""
    installed = distribution(name)
    for entry in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
        yield Path(str(installed.locate_file(entry)))
