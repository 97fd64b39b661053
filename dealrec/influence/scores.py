"""The result of the influence stage, in memory and on disk."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq


@dataclass(frozen=True)
class InfluenceScores:
    """Influence of ``n`` samples, in dense sample order."""

    scores: npt.NDArray[np.float64]
    """[n] influence; larger means that removing the sample raises the risk more."""
    diagnostics: dict[str, Any]
    """JSON for the manifest: the risk, the settings, and the accuracy of the solution."""

    def save(self, folder: Path) -> None:
        """Write ``influence.parquet`` (column ``influence``) and ``result.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        table = pa.table({"influence": self.scores})
        pq.write_table(table, folder / "influence.parquet", compression="zstd")
        (folder / "result.json").write_text(json.dumps(self.diagnostics, indent=2))

    @classmethod
    def load(cls, folder: Path) -> "InfluenceScores":
        """Read scores that :meth:`save` wrote."""
        return cls(
            scores=pq.read_table(folder / "influence.parquet")["influence"].to_numpy(),
            diagnostics=json.loads((folder / "result.json").read_text()),
        )
