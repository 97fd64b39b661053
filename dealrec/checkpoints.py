"""Files from which an interrupted run continues. A checkpoint that cannot be written only costs time."""

import contextlib
from collections.abc import Callable
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from dealrec.disk import remove_unfinished, written_whole
from dealrec.progress import Reporter

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

State = TypeVar("State", bound="DataclassInstance")


class CheckpointFile:
    """One file that is replaced as a whole. If it cannot be written, the run continues and reports it.

    The event ``checkpoint_not_written`` is sent once for all failures in a row. The earlier checkpoint
    stays as it was.
    """

    def __init__(self, path: Path, reporter: Reporter) -> None:
        self.path = path
        self._reporter = reporter
        self._failing = False
        with contextlib.suppress(OSError):
            remove_unfinished(path)

    def write(self, fill: Callable[[BytesIO], object]) -> None:
        """Replace the file by what ``fill`` writes; a full disk or a missing folder is no error."""
        content = BytesIO()
        fill(content)  # in memory first, so that every error below comes from the disk
        try:
            with written_whole(self.path) as unfinished:
                unfinished.write_bytes(content.getbuffer())
        except OSError as error:
            if not self._failing:
                self._reporter.event("checkpoint_not_written", reason=error.strerror or "unknown")
            self._failing = True
        else:
            self._failing = False


class TrainingCheckpoint(Generic[State]):
    """The state of one training on disk: enough to go on exactly as if it had never stopped.

    Args:
        path: The file. ``None`` keeps nothing.
        fingerprint: A hash of everything that the training computes from. The checkpoint of a training
            with another fingerprint is not read.
        state: The dataclass of the state. Its fields are tensors, numbers, and lists and dictionaries
            of them.
        reporter: It gets an event when a checkpoint could not be written.
    """

    def __init__(
        self, path: Path | None, fingerprint: str, state: type[State], reporter: Reporter
    ) -> None:
        self._file = None if path is None else CheckpointFile(path, reporter)
        self._fingerprint, self._state = fingerprint, state

    def write(self, state: State) -> None:
        """Replace the earlier state."""
        if self._file is not None:
            values: list[Any] = [getattr(state, field.name) for field in fields(state)]
            self._file.write(lambda content: torch.save([self._fingerprint, *values], content))

    def read(self, device: torch.device) -> State | None:
        """Read the state onto ``device``; ``None`` if this training has no checkpoint."""
        if self._file is None or not self._file.path.is_file():
            return None
        fingerprint, *values = torch.load(self._file.path, map_location=device, weights_only=True)
        return self._state(*values) if fingerprint == self._fingerprint else None
