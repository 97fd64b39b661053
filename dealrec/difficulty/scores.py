"""The result of the difficulty stage, in memory and on disk."""

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
    """Two scores for each of ``n`` samples, in dense sample order."""

    el2n: npt.NDArray[np.float64]
    """[n] ``‖p − e_y‖₂``: 0 if the surrogate is certain of the target, √2 if of another item."""
    grand: npt.NDArray[np.float64]
    """[n] gradient norms."""
    diagnostics: dict[str, Any]
    """JSON for the manifest: the loss, the parameters and the run's figures."""

    def save(self, folder: Path) -> None:
        """Write ``difficulty.parquet`` (``el2n``, ``grand``) and ``result.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        table = pa.table({"el2n": self.el2n, "grand": self.grand})
        pq.write_table(table, folder / "difficulty.parquet", compression="zstd")
        (folder / "result.json").write_text(json.dumps(self.diagnostics, indent=2))

    @classmethod
    def load(cls, folder: Path) -> "DifficultyScores":
        """Read scores that :meth:`save` wrote."""
        table = pq.read_table(folder / "difficulty.parquet")
        return cls(
            el2n=table["el2n"].to_numpy(),
            grand=table["grand"].to_numpy(),
            diagnostics=json.loads((folder / "result.json").read_text()),
        )
