"""Samples as titles, and titles as vectors of the language model: all that a small recommender reads."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

NO_TITLE = -1
"""The place of a title behind the end of a history."""

_ARRAYS = ("states", "histories", "targets")
_OF_VALIDATION = ("histories", "candidates")


@dataclass(frozen=True)
class AskedUsers:
    """``U`` validation users, each with ``C`` titles to choose among."""

    histories: Int32
    """[U, k] as :attr:`TitleTable.histories`."""
    candidates: Int32
    """[U, C] places of titles; column 0 is the user's own choice."""


@dataclass(frozen=True)
class TitleTable:
    """``n`` samples as places in a catalogue of ``D`` different titles."""

    states: Float32
    """[D, h] vectors of the frozen language model; may be memory-mapped from a file."""
    histories: Int32
    """[n, k] places of the last ``k`` titles before the target, oldest first; ``NO_TITLE`` behind the end."""
    targets: Int32
    """[n] places of the targets' titles."""
    validation: AskedUsers | None = None
    """``None`` if the data has no validation users who can be asked."""

    def take(self, places: Int64) -> "TitleTable":
        """Restrict to the samples at ``places``, in that order."""
        return replace(self, histories=self.histories[places], targets=self.targets[places])

    def save(self, folder: Path) -> None:
        """Write an array a file."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in _ARRAYS:
            np.save(folder / f"{name}.npy", getattr(self, name))
        if self.validation is not None:
            for name in _OF_VALIDATION:
                np.save(folder / f"validation_{name}.npy", getattr(self.validation, name))

    @classmethod
    def load(cls, folder: Path) -> "TitleTable":
        """Memory-map the files that :meth:`save` wrote."""
        asked = None
        if (folder / f"validation_{_OF_VALIDATION[0]}.npy").is_file():
            asked = AskedUsers(
                *(_mapped(folder / f"validation_{name}.npy") for name in _OF_VALIDATION)
            )
        return cls(*(_mapped(folder / f"{name}.npy") for name in _ARRAYS), validation=asked)


def _mapped(path: Path) -> npt.NDArray[np.generic]:
    found: npt.NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
    return found
