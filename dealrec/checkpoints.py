"""Files that a run is taken up from. Each is a shortcut: one that cannot be written costs time alone."""

import contextlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from dealrec.progress import Reporter


class CheckpointFile:
    """One file, replaced whole. Where it cannot be written the run goes on, and says so.

    The event ``checkpoint_not_written`` is sent once for all failures in a row. The checkpoint before
    stays as it was.
    """

    def __init__(self, path: Path, reporter: Reporter) -> None:
        self.path = path
        self._reporter = reporter
        self._failing = False

    def write(self, fill: Callable[[BytesIO], object]) -> None:
        """Replace the file by what ``fill`` writes; a full disk or a folder that is away is no error."""
        # In memory first: then whatever fails below is the disk.
        content = BytesIO()
        fill(content)
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content.getbuffer())
            temporary.replace(self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(
                    missing_ok=True
                )  # half a file would fill what little room there is
            if not self._failing:
                self._reporter.event("checkpoint_not_written", reason=error.strerror or "unknown")
            self._failing = True
        else:
            self._failing = False
