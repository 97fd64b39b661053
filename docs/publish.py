"""Builds the documentation of this version into a folder that keeps those of earlier versions.

``make docs`` runs ``python docs/publish.py FOLDER``. The folder can be served as it is: ``FOLDER/0.1/`` has
the pages of version 0.1, ``FOLDER/latest/`` leads to the newest, and every page has a list of the versions.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

from dealrec.version import __version__

ROOT = Path(__file__).parents[1]
VERSIONS = "versions.json"
LATEST = "latest"


class Listed(TypedDict):
    """A version as the theme's list of versions reads it."""

    version: str
    title: str
    aliases: list[str]


def publish(folder: Path, version: str) -> Path:
    """Build the pages of ``version`` strictly: a link that leads nowhere is an error. Return their folder."""
    target = folder.absolute() / version
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(  # noqa: S603
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(target)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        check=True,
    )
    list_version(folder, version)
    return target


def list_version(folder: Path, version: str) -> None:
    """Add ``version`` to the list, newest first; ``latest`` and the folder itself lead to the newest."""
    file = folder / VERSIONS
    before: list[Listed] = json.loads(file.read_text()) if file.is_file() else []
    names = {version, *(entry["version"] for entry in before)}
    newest, *others = sorted(names, key=_numbers, reverse=True)
    listed: list[Listed] = [
        {"version": name, "title": name, "aliases": [LATEST] if name == newest else []}
        for name in (newest, *others)
    ]
    file.write_text(json.dumps(listed, indent=2) + "\n")
    for page, target in (
        (folder / "index.html", newest),
        (folder / LATEST / "index.html", f"../{newest}"),
    ):
        page.parent.mkdir(exist_ok=True)
        page.write_text(
            f'<!doctype html><meta charset="utf-8"><title>DEALRec</title>'
            f'<meta http-equiv="refresh" content="0; url={target}/">'
            f'<a href="{target}/">DEALRec {newest}</a>\n'
        )


def minor(version: str) -> str:
    """The version that documentation is kept for: ``0.1`` for ``0.1.0``."""
    return ".".join(version.split(".")[:2])


def _numbers(version: str) -> list[int]:
    return [int(part) if part.isdigit() else -1 for part in version.split(".")]


if __name__ == "__main__":
    publish(Path(sys.argv[1]), minor(__version__))
