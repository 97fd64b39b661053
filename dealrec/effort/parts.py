"""The effort of one shard of samples: its checkpoint, its files, and its merge with other shards."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.checkpoints import CheckpointFile
from dealrec.effort.scores import EffortScores
from dealrec.language_models.batch_plan import BatchPlan, Shard
from dealrec.metrics.correlation import spearman
from dealrec.progress import SILENT, Reporter

_SCORES = "part.parquet"
_FACTS = "part.json"
_CHECKPOINT = "effort.npz"
_SECONDS_BETWEEN_CHECKPOINTS = 5.0


@dataclass(frozen=True)
class EffortPart:
    """Effort of the samples of one shard."""

    shard: Shard
    scores: npt.NDArray[np.float64]
    """Gradient norms, in the order of :meth:`BatchPlan.samples`."""
    plan: str
    """The fingerprint of the shard's plan."""
    settings: dict[str, Any]
    """JSON for the manifest: everything the scores depend on besides the plan. It is the same for
    all parts."""
    seconds: float
    """The time of this part's measurement."""
    replanned: int
    """The number of this part's batches that were measured in pieces because memory ran out."""

    @property
    def diagnostics(self) -> dict[str, Any]:
        """JSON for the manifest: the settings and this part's figures."""
        return {**self.settings, "seconds": self.seconds, "replanned": self.replanned}

    def save(self, folder: Path) -> None:
        """Write ``part.parquet`` (column ``effort``) and ``part.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"effort": self.scores}), folder / _SCORES, compression="zstd")
        facts = {
            "first": self.shard.first,
            "last": self.shard.last,
            "plan": self.plan,
            "diagnostics": self.diagnostics,
        }
        (folder / _FACTS).write_text(json.dumps(facts, indent=2))

    @classmethod
    def load(cls, folder: Path) -> "EffortPart":
        """Read a part that :meth:`save` wrote."""
        facts = json.loads((folder / _FACTS).read_text())
        settings = facts["diagnostics"]
        return cls(
            shard=Shard(facts["first"], facts["last"]),
            scores=pq.read_table(folder / _SCORES)["effort"].to_numpy(),
            plan=facts["plan"],
            seconds=settings.pop("seconds"),
            replanned=settings.pop("replanned"),
            settings=settings,
        )


def merge_effort(plan: BatchPlan, parts: Sequence[EffortPart]) -> EffortScores:
    """Merge the parts of ``plan``, in any order, into the effort of all samples.

    Samples outside the plan get NaN.

    Raises:
        ValueError: The parts belong to another plan, do not hold each batch exactly once, or were
            not measured with the same settings.
    """
    parts = sorted(parts, key=lambda part: (part.shard.first, part.shard.last))
    if any(part.plan != plan.fingerprint for part in parts):
        raise ValueError("a part belongs to another plan")
    ends = [0, *(part.shard.last for part in parts)]
    if [*(part.shard.first for part in parts), plan.batches] != ends:
        raise ValueError("the parts do not hold every batch exactly once")
    settings = parts[0].settings
    if any(part.settings != settings for part in parts):
        raise ValueError("the parts were not measured with the same model on the same device")
    scores = np.full(plan.count, np.nan)
    tokens = np.zeros(plan.count, dtype=np.int32)
    scores[plan.order] = np.concatenate([part.scores for part in parts])
    tokens[plan.order] = plan.tokens
    seconds = sum(part.seconds for part in parts)
    total = int(plan.tokens.sum())
    diagnostics = {
        **settings,
        "samples": len(plan.order),
        "samples_without_effort": plan.count - len(plan.order),
        "batches": plan.batches,
        "shards": len(parts),
        "tokens": total,
        "seconds": seconds,
        "replanned": sum(part.replanned for part in parts),
        "tokens_per_second": total / max(seconds, 1e-9),
        "spearman_with_answer_length": spearman(scores[plan.order], plan.answer_tokens),
    }
    return EffortScores(scores, tokens, diagnostics)


@dataclass
class ShardCheckpoint:
    """Writes the scores of a shard's finished batches to disk every few seconds.

    A checkpoint of another plan, shard, model or device is never resumed. Without a folder, nothing
    is written.
    """

    folder: Path | None
    plan: BatchPlan
    shard: Shard
    settings: Mapping[str, object]
    """JSON: everything the scores depend on besides the plan."""
    reporter: Reporter = SILENT
    """Receives an event if a checkpoint cannot be written."""
    _written: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        folder = self.folder
        self._file = None if folder is None else CheckpointFile(folder / _CHECKPOINT, self.reporter)

    def resume(self) -> tuple[int, npt.NDArray[np.float64]]:
        """Return the first unfinished batch and the shard's scores up to it, with NaN from there."""
        scores = np.full(len(self.plan.samples(self.shard)), np.nan)
        if self._file is None or not self._file.path.is_file():
            return self.shard.first, scores
        with np.load(self._file.path) as kept:
            if str(kept["key"]) != self._key():
                return self.shard.first, scores
            scores[: len(kept["scores"])] = kept["scores"]
            return int(kept["next"]), scores

    def keep(self, following: int, scores: npt.NDArray[np.float64]) -> None:
        """Write the scores of all batches before ``following``, which are finished."""
        if self._file is None or time.monotonic() - self._written < _SECONDS_BETWEEN_CHECKPOINTS:
            return
        finished = len(self.plan.samples(Shard(self.shard.first, following)))
        self._file.write(
            lambda content: np.savez(
                content, key=self._key(), next=following, scores=scores[:finished]
            )
        )
        self._written = time.monotonic()

    def _key(self) -> str:
        facts = [self.plan.fingerprint, self.shard.first, self.shard.last, dict(self.settings)]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
