"""A small disk that can be full: a tmpfs, where we may mount one."""

import contextlib
import shutil
import subprocess
from pathlib import Path

_MIB = 2**20


class SmallDisk:
    """A folder of ``mebibytes``. Without the right to mount, a plain folder that never fills."""

    def __init__(self, folder: Path, mebibytes: int = 512) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self._ballast = folder / "ballast"
        options = f"size={mebibytes}m"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            self.mounted = subprocess.run(command, capture_output=True).returncode == 0
        except OSError:
            self.mounted = False

    def fill(self) -> None:
        """Leave no byte free."""
        with self._ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * _MIB)
        with self._ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)

    def free(self) -> None:
        """Give back what :meth:`fill` took."""
        self._ballast.unlink(missing_ok=True)

    def remove(self) -> None:
        """Unmount it; everything on it is gone."""
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)
