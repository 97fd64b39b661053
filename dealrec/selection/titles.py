"""Samples as titles, and titles as vectors of the language model: all that a small recommender reads."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

NO_TITLE = -1
"""The place of a title behind the end of a history."""


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
        arrays = {name: getattr(self, name) for name in ("states", "histories", "targets")}
        if self.validation is not None:
            arrays["validation_histories"] = self.validation.histories
            arrays["validation_candidates"] = self.validation.candidates
        for name, values in arrays.items():
            np.save(folder / f"{name}.npy", values)

    @classmethod
    def load(cls, folder: Path) -> "TitleTable":
        """Memory-map the files that :meth:`save` wrote."""
        asked = None
        if (folder / "validation_histories.npy").is_file():
            asked = AskedUsers(
                _mapped(folder, "validation_histories"), _mapped(folder, "validation_candidates")
            )
        return cls(
            _mapped(folder, "states"),
            _mapped(folder, "histories"),
            _mapped(folder, "targets"),
            asked,
        )


def _mapped(folder: Path, name: str) -> Any:
    return np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
