"""Folders that people name for results, and the work folders in them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dealrec.config.runtime import Runtime, environment_runtime
from dealrec.config.stages import hashed
from dealrec.disk import file_sha256
from dealrec.errors import InputError
from dealrec.language_models.adapters import ADAPTER_FILES, HEAD
from dealrec.progress import StageReporters
from dealrec.stages.workspace import Workspace

CACHE = "cache"
"""The part of a work folder that later comparisons can use as well."""


def workspace_in(folder: str | Path, runtime: Runtime | None, stages: StageReporters) -> Workspace:
    """The workspace in ``folder``; what other jobs can use is kept in a part of it."""
    folder = result_folder(folder)
    runtime = runtime or environment_runtime()
    return Workspace(folder, runtime=runtime, stages=stages, cache=folder / CACHE)


def result_folder(path: str | Path) -> Path:
    """The folder with ``~`` expanded, which need not exist.

    Raises:
        InputError: ``not_a_folder`` where it, or one above it, is a file.
    """
    folder = Path(path).expanduser()
    there = next(one for one in (folder, *folder.absolute().parents) if os.access(one, os.F_OK))
    if not there.is_dir():
        raise InputError(f"{there} is a file, but a folder is needed.", code="not_a_folder")
    return folder


@contextmanager
def nothing_left(workspace: Workspace, out: Path) -> Iterator[None]:
    """Remove the workspace in ``out``, and ``out``, when the block made them and refuses its input.

    What another process has begun to use stays, and so does a workspace that is not in ``out``.
    """
    new, out_is_new = not workspace.folder.exists(), not out.exists()
    try:
        yield
    except InputError:
        if new and workspace.folder.is_relative_to(out.absolute()):
            workspace.discard()
        if out_is_new:
            with suppress(OSError):  # somebody else's files are in it
                out.rmdir()
        raise


def adapter_sha256(folder: Path) -> str:
    """A hash of the files of the adapter in ``folder``."""
    files = [name for name in (*ADAPTER_FILES, HEAD) if (folder / name).is_file()]
    return hashed({name: file_sha256(folder / name) for name in files})
