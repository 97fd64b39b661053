"""The result of the effort stage, in memory and on disk."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class EffortScores:
    """Effort of ``n`` samples, in dense sample order."""

    scores: npt.NDArray[np.float64]
    """[n] gradient norms; larger means harder to learn. A sample without a measurement has NaN."""
    tokens: npt.NDArray[np.int32]
    """[n] the number of tokens of each sample as the model read it."""
    diagnostics: dict[str, Any]
    """JSON for the manifest: the model, the settings and the run's figures."""

    @property
    def candidates(self) -> npt.NDArray[np.bool_] | None:
        """[n] which samples were measured; ``None`` if all were."""
        measured = ~np.isnan(self.scores)
        return None if measured.all() else measured

    def save(self, folder: Path) -> None:
        """Write ``effort.parquet`` (``effort``, null for NaN, and ``tokens``) and ``result.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        effort = pa.array(self.scores, mask=np.isnan(self.scores))
        table = pa.table({"effort": effort, "tokens": self.tokens})
        pq.write_table(table, folder / "effort.parquet", compression="zstd")
        (folder / "result.json").write_text(json.dumps(self.diagnostics, indent=2))

    @classmethod
    def load(cls, folder: Path) -> "EffortScores":
        """Read scores that :meth:`save` wrote."""
        table = pq.read_table(folder / "effort.parquet")
        return cls(
            scores=table["effort"].to_numpy(),
            tokens=table["tokens"].to_numpy(),
            diagnostics=json.loads((folder / "result.json").read_text()),
        )
