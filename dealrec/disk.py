"""Local files: found, hashed, written whole or not at all, with their room reserved first."""

import contextlib
import glob
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from dealrec.errors import InputError

_PIECE_BYTES = 1024 * 1024


def local_file(path: str | Path) -> Path:
    """Return the path of a file that can be read.

    Raises:
        InputError: ``no_such_file``.
    """
    found = Path(path).expanduser()
    if found.is_dir():
        detail = f"{found} is a folder. Give a file in it."
    elif not found.exists():
        detail = f"There is no file {found}."
    elif not found.is_file():
        detail = f"{found} is not a regular file."
    elif not os.access(found, os.R_OK):
        detail = f"There is no permission to read {found}."
    else:
        return found
    raise InputError(detail, code="no_such_file", title="A file cannot be read")


def local_source(path: str | Path) -> Path:
    """Return the path of a file or a folder that can be read.

    Raises:
        InputError: ``no_such_file``.
    """
    if not str(path):
        raise InputError(
            "The name of the file is empty.", code="no_such_file", title="A file cannot be read"
        )
    found = Path(path).expanduser()
    return found if found.is_dir() and os.access(found, os.R_OK | os.X_OK) else local_file(found)


def file_sha256(path: Path, advance: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file's content; ``advance`` gets the size of each piece in bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
            if advance is not None:
                advance(len(piece))
    return digest.hexdigest()


@contextlib.contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Write a file or a folder beside ``path`` and rename it to ``path`` when the block ends.

    The block gets a hidden path beside ``path`` that does not exist yet and that no other writer
    uses. The rename is one step: a reader sees what was there before or all of what is new. A file
    replaces an earlier file; a folder replaces an empty folder only. When the block or the rename
    raises, the unfinished file or folder is removed and ``path`` stays as it was.

    A process that is killed leaves its unfinished file; :func:`remove_unfinished` takes it away.
    Nothing is flushed to the disk (``fsync``), so a power failure can still lose what was written.

    Raises:
        OSError: The folder of ``path`` cannot be made, or the rename fails.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield unfinished
        unfinished.replace(path)
    except BaseException:
        _remove(unfinished)
        raise


def remove_unfinished(path: Path) -> None:
    """Remove what killed processes left of ``path``; nobody else may be writing it meanwhile."""
    for unfinished in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        _remove(unfinished)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def reserve(path: Path, size: int) -> None:
    """Make the file ``size`` bytes long with disk space behind every byte; its content is kept.

    A write through a memory map on a full disk ends the process by SIGBUS, without a message. So a
    file is reserved before it is mapped.

    Raises:
        OSError: The disk has too little room. A file that did not exist before does not exist after.
    """
    before = path.exists()
    try:
        with path.open("r+b" if before else "wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
            file.truncate(size)
    except OSError as error:
        if not before:
            with contextlib.suppress(OSError):
                path.unlink()
        raise OSError(error.errno, f"{error.strerror} ({size:,} bytes are needed)", path) from error
