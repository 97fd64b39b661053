"""Folders that one process removes only where no other process uses them."""

import contextlib
import fcntl
import os
import shutil
import weakref
from pathlib import Path


class FolderInUse:
    """Keeps others from removing a folder, which is made where there is none, while this object lives.

    The kernel ends the use of a process that is killed (``flock``).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        while True:
            folder.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # another process has just removed it
                self._handle = os.open(folder, os.O_RDONLY)
                self._close = weakref.finalize(self, os.close, self._handle)
                fcntl.flock(self._handle, fcntl.LOCK_SH)
                if folder.exists() and os.path.samestat(os.fstat(self._handle), folder.stat()):
                    return
                self._close()

    def remove(self, part: str = "") -> None:
        """End this use, and remove the folder, or ``part`` of it, unless others use the folder."""
        with contextlib.suppress(OSError):
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(self._folder / part)
        self._close()
