"""Files and folders at addresses such as ``s3://bucket/events``, which Arrow's file systems read."""

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.fs as pa_fs

from dealrec.data.many import FILES
from dealrec.errors import InputError

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://")
_PIECE = 8 * 2**20


def is_address(source: str) -> bool:
    """Whether a text is an address, and no path."""
    return bool(_ADDRESS.match(source))


def fetched(address: str, folder: Path) -> Path:
    """Copy what is at ``address`` into ``folder``; a local file or folder stays where it is.

    Credentials are those that the environment has, as Arrow finds them.

    Returns:
        The path of the file, or of the folder with its files.

    Raises:
        InputError: ``no_such_file``.
    """
    if address.startswith("file://"):
        return Path(unquote(urlsplit(address).path))
    try:
        system, path = pa_fs.FileSystem.from_uri(address)
        return copied(system, path, folder)
    except MemoryError:  # Arrow's is an ArrowException, too
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split("\n")[0].split())[:200]
        raise InputError(
            f"{address} cannot be read. {reason}",
            code="no_such_file",
            title="A file cannot be read",
        ) from None


def copied(system: pa_fs.FileSystem, path: str, folder: Path) -> Path:
    """Copy a file, or all files of a folder, from a file system of Arrow.

    Raises:
        ValueError: The folder holds no files, or too many.
    """
    found, at = system.get_file_info(path), PurePosixPath(path)
    if found.type == pa_fs.FileType.File:
        return _copied(system, found, folder / at.name)
    inside = [
        info
        for info in system.get_file_info(pa_fs.FileSelector(path, recursive=True))
        if info.type == pa_fs.FileType.File
    ]
    if not inside or len(inside) > FILES:
        raise ValueError(f"It holds {len(inside):,} files; 1 to {FILES:,} are read.")
    base = folder / (at.name or "data")
    for info in inside:
        _copied(system, info, base / PurePosixPath(info.path).relative_to(at))
    return base


def _copied(system: pa_fs.FileSystem, info: pa_fs.FileInfo, path: Path) -> Path:
    if ".." in path.parts:
        raise ValueError("A name in the folder climbs out of it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with system.open_input_stream(info.path, compression=None) as source, path.open("wb") as file:
        while piece := source.read(_PIECE):
            file.write(piece)
    return path
