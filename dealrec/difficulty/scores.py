"""The results of the stages ``difficulty`` and ``ifd``, in memory and on disk."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class DifficultyScores:
    """Three scores for each of ``n`` samples, in dense sample order."""

    el2n: npt.NDArray[np.float64]
    """[n] ``‖p − e_y‖₂``: 0 if the surrogate is certain of the target, √2 if of another item."""
    grand: npt.NDArray[np.float64]
    """[n] gradient norms."""
    likelihood: npt.NDArray[np.float64]
    """[n] log-probabilities of the targets, in nats."""
    diagnostics: dict[str, Any]
    """JSON for the manifest: the loss, the parameters and the run's figures."""

    def save(self, folder: Path) -> None:
        """Write ``difficulty.parquet`` (``el2n``, ``grand``, ``likelihood``) and ``result.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        table = pa.table({"el2n": self.el2n, "grand": self.grand, "likelihood": self.likelihood})
        pq.write_table(table, folder / "difficulty.parquet", compression="zstd")
        (folder / "result.json").write_text(json.dumps(self.diagnostics, indent=2))

    @classmethod
    def load(cls, folder: Path) -> "DifficultyScores":
        """Read scores that :meth:`save` wrote."""
        table = pq.read_table(folder / "difficulty.parquet")
        return cls(
            el2n=table["el2n"].to_numpy(),
            grand=table["grand"].to_numpy(),
            likelihood=table["likelihood"].to_numpy(),
            diagnostics=json.loads((folder / "result.json").read_text()),
        )


@dataclass(frozen=True)
class FollowingScores:
    """Two losses of the language model for each of ``n`` samples, in dense sample order."""

    with_history: npt.NDArray[np.float64]
    """[n] mean loss of the target's tokens after the history, in nats."""
    without_history: npt.NDArray[np.float64]
    """[n] the same after the instruction alone."""
    diagnostics: dict[str, Any]
    """JSON for the manifest: the model and the run's figures."""

    @property
    def ifd(self) -> npt.NDArray[np.float64]:
        """[n] the first over the second; below 1 where the history helps, and 1 where the second is 0."""
        found = np.ones(len(self.with_history))
        both = (self.with_history, self.without_history)
        return np.divide(*both, out=found, where=self.without_history > 0)

    def save(self, folder: Path) -> None:
        """Write ``ifd.parquet`` (``with_history``, ``without_history``) and ``result.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        columns = {"with_history": self.with_history, "without_history": self.without_history}
        pq.write_table(pa.table(columns), folder / "ifd.parquet", compression="zstd")
        (folder / "result.json").write_text(json.dumps(self.diagnostics, indent=2))

    @classmethod
    def load(cls, folder: Path) -> "FollowingScores":
        """Read losses that :meth:`save` wrote."""
        table = pq.read_table(folder / "ifd.parquet")
        return cls(
            table["with_history"].to_numpy(),
            table["without_history"].to_numpy(),
            json.loads((folder / "result.json").read_text()),
        )
