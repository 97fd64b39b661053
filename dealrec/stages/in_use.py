"""Folders that a process removes only if no other process uses them."""

import contextlib
import fcntl
import os
import shutil
import weakref
from pathlib import Path


class FolderInUse:
    """Prevents other processes from removing a folder while this object lives. A missing folder is created.

    If the process is killed, the kernel ends its use of the folder (``flock``).
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
        """End this use, and remove the folder, or ``part`` of it, unless other processes use the folder."""
        with contextlib.suppress(OSError):
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(self._folder / part)
        self._close()
