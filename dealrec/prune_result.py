"""The result of :func:`dealrec.prune`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.config import PruneConfig
from dealrec.config.curve import TargetUse
from dealrec.coresets.writer import MEMBERS, Coreset
from dealrec.data.findings import Report
from dealrec.notebook import facts_html

_SHOWN_ROWS = 3
_SHOWN_COLUMNS = ["sample_key", "input", "output"]
"""The columns of the first members that a notebook shows."""


@dataclass(frozen=True)
class PruneResult:
    """The coreset that :func:`dealrec.prune` chose, and what was asked for beside it."""

    folder: Path
    """Holds ``coreset.jsonl``, ``members.parquet``, ``scores.parquet``, ``manifest.json``,
    ``report.html``, ``config.json`` and, where asked for, ``adapter/`` and ``evaluation.json``."""
    coreset: Coreset
    config: PruneConfig
    """Fully resolved; running it again gives the same coreset."""
    report: Report
    """The validation's report: accepted and rejected rows, warnings."""
    adapter: Path | None
    evaluation: Mapping[str, Any] | None
    """The result of :func:`dealrec.recommenders.evaluation.evaluate_adapter`, if an adapter was evaluated."""
    audit: Mapping[str, float] | None
    """The figures of :func:`dealrec.data.audit.audit`."""
    target: TargetUse | None
    """The target and the curve from which the budget followed, if a target was given."""
    warnings: tuple[str, ...] = ()
    """Sentences on options that had no effect; each was also given to :mod:`warnings` before the run."""

    def to_arrow(self) -> pa.Table:
        """The members: keys, ids, texts and scores, one row a sample."""
        return pq.read_table(self.folder / MEMBERS)

    def _repr_html_(self) -> str:
        evaluated = self.evaluation or {}
        figures = {name: f"{value:.4g}" for name, value in evaluated.get("metrics", {}).items()}
        facts = {
            **self.coreset.facts(),
            "budget": None if self.target is None else self.target.told,
            "adapter": self.adapter,
            "report": self.folder / "report.html",
            "warnings": "; ".join(self.warnings) or None,
            **figures,
        }
        table = self.to_arrow().slice(0, _SHOWN_ROWS).select(_SHOWN_COLUMNS)
        rows = [
            _SHOWN_COLUMNS,
            *([row[name] for name in _SHOWN_COLUMNS] for row in table.to_pylist()),
        ]
        return facts_html("Coreset", facts, rows)
