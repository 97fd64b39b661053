"""Files and folders at addresses such as ``s3://bucket/events``, which Arrow's file systems read."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pa_fs

from dealrec.data.detection import file_error
from dealrec.data.many import FILES
from dealrec.errors import InputError

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://")
_PIECE = 8 * 2**20


def is_address(source: str) -> bool:
    """Whether a text is an address, and no path."""
    return bool(_ADDRESS.match(source))


def fetched(address: str, folder: Path, *, most: int | None = None) -> Path:
    """Copy what is at ``address`` into ``folder``; a local file or folder stays where it is.

    Credentials are those that the environment has, as Arrow finds them.

    Args:
        address: The address of a file or of a folder.
        folder: Where the copy goes.
        most: The number of bytes that may be copied.

    Returns:
        The path of the file, or of the folder with its files.

    Raises:
        InputError: ``no_such_file``, and ``file_too_large``.
    """
    if address.startswith("file://"):
        return Path(unquote(urlsplit(address).path))
    try:
        system, path = _file_system(address)
        return copied(system, path, folder, most)
    except MemoryError:  # Arrow's is an ArrowException, too
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split("\n")[0].split())[:200]
        raise InputError(
            f"{address} cannot be read. {reason}",
            code="no_such_file",
            title="A file cannot be read",
        ) from None


def _file_system(address: str) -> tuple[pa_fs.FileSystem, str]:
    """Arrow's file system at an address; S3 is at ``AWS_ENDPOINT`` where that is set, as for the storage."""
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT", ""))
    if not address.startswith("s3://") or not endpoint.netloc:
        found: tuple[pa_fs.FileSystem, str] = pa_fs.FileSystem.from_uri(address)
        return found
    store = pa_fs.S3FileSystem(endpoint_override=endpoint.netloc, scheme=endpoint.scheme)
    return store, unquote(address.removeprefix("s3://"))


def copied(system: pa_fs.FileSystem, path: str, folder: Path, most: int | None = None) -> Path:
    """Copy a file, or all files of a folder, from a file system of Arrow.

    Raises:
        ValueError: The folder holds no files, or too many.
        InputError: ``file_too_large``.
    """
    found, at = system.get_file_info(path), PurePosixPath(path)
    if found.type == pa_fs.FileType.File:
        _require_room([found], at.name, most)
        return _copied(system, found, folder / at.name)
    inside = [
        info
        for info in system.get_file_info(pa_fs.FileSelector(path, recursive=True))
        if info.type == pa_fs.FileType.File
    ]
    if not inside or len(inside) > FILES:
        raise ValueError(f"The folder holds {len(inside):,} files; it must hold 1 to {FILES:,}.")
    _require_room(inside, at.name, most)
    base = folder / (at.name or "data")
    for info in inside:
        _copied(system, info, base / PurePosixPath(info.path).relative_to(at))
    return base


def _require_room(files: Sequence[pa_fs.FileInfo], name: str, most: int | None) -> None:
    size = sum(info.size or 0 for info in files)
    if most is not None and size > most:
        message = f"Its size is {size:,} bytes; at most {most:,} are allowed."
        raise file_error(name, "file_too_large", message)


def _copied(system: pa_fs.FileSystem, info: pa_fs.FileInfo, path: Path) -> Path:
    if ".." in path.parts:
        raise ValueError("The name of a file leads out of the folder.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with system.open_input_stream(info.path, compression=None) as source, path.open("wb") as file:
        while piece := source.read(_PIECE):
            file.write(piece)
    return path
