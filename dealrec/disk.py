"""Files that are written through a memory map: their room is taken before the first byte is."""

import contextlib
import os
from pathlib import Path


def reserve(path: Path, size: int) -> None:
    """Make the file ``size`` bytes long, of which each has its place on the disk; it keeps its content.

    A write through a map that finds the disk full ends the process by SIGBUS, with no word. So what
    is mapped is reserved first.

    Raises:
        OSError: Where there is not so much room. A file that was not there before is not there after.
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
