"""A vector of every sample from a language model, batch after batch, kept while they are made."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from dealrec.data.prompts import PromptedSample
from dealrec.effort.plan import EffortPlan
from dealrec.errors import DealrecError
from dealrec.language_models.tokens import EncodedSample, Encoder
from dealrec.progress import SILENT, Reporter
from dealrec.selection.vectors import Float32

_ROWS, _PLACE = "vectors.f32", "vectors.json"
_SECONDS_BETWEEN_CHECKPOINTS = 5.0


def vectors_of(
    plan: EffortPlan,
    prompted: Callable[[int], PromptedSample],
    encoder: Encoder,
    measure: Callable[[Sequence[EncodedSample]], Tensor],
    width: int,
    *,
    made_with: dict[str, Any],
    checkpoint_dir: Path | None = None,
    reporter: Reporter = SILENT,
    pieces: int = 1,
) -> Float32:
    """[n, width] what ``measure`` gives of each of the ``n`` samples of ``plan``.

    With a ``checkpoint_dir`` finished batches are on disk every few seconds, and a run that was cut
    off goes on after them if ``made_with`` (JSON: all that the vectors depend on besides the plan)
    is the same. Each batch is measured in so many ``pieces``, for machines whose memory does not
    hold it whole.

    Raises:
        DealrecError: ``non_finite_score`` for a vector with a number that is none.
        Cancelled: When ``reporter`` says so, between batches.
    """
    store = _Store(checkpoint_dir, plan, width, made_with)
    reporter.progress(int(plan.bounds[store.following]), plan.count, "sample")
    for number in range(store.following, plan.batches):
        batch = plan.batch(number)
        encoded = encoder.encode([prompted(index) for index in batch])
        size = -(-len(batch) // pieces)
        parts = [measure(encoded[first : first + size]) for first in range(0, len(batch), size)]
        found = torch.cat(parts).float().cpu().numpy()
        if not np.isfinite(found).all():
            raise DealrecError(
                "A vector of the language model holds a number that is not finite.",
                code="non_finite_score",
                title="A score is not a finite number",
            )
        store.rows[batch] = found
        store.keep(number + 1)
        reporter.progress(int(plan.bounds[number + 1]), plan.count, "sample")
    return store.rows


class _Store:
    """The rows, in a file where there is a folder for it, and the first batch that is not in them."""

    def __init__(
        self, folder: Path | None, plan: EffortPlan, width: int, made_with: dict[str, Any]
    ) -> None:
        self._folder = folder
        self._key = hashlib.sha256(
            json.dumps([plan.fingerprint, width, made_with], sort_keys=True).encode()
        ).hexdigest()
        self.following = 0
        self.rows: Float32
        shape = (plan.count, width)
        if folder is None or not plan.count:
            self.rows = np.empty(shape, dtype=np.float32)
            return
        folder.mkdir(parents=True, exist_ok=True)
        self.following = self._reached()
        mode: Literal["r+", "w+"] = "r+" if self.following else "w+"
        self.rows = np.memmap(folder / _ROWS, dtype=np.float32, mode=mode, shape=shape)
        self._written = time.monotonic()

    def keep(self, following: int) -> None:
        """All batches before ``following`` are in the rows: first these reach the disk, then that."""
        if not isinstance(self.rows, np.memmap) or self._folder is None:
            return
        if time.monotonic() - self._written < _SECONDS_BETWEEN_CHECKPOINTS:
            return
        self.rows.flush()
        temporary = self._folder / f".{_PLACE}.tmp"
        temporary.write_text(json.dumps({"key": self._key, "next": following}))
        temporary.replace(self._folder / _PLACE)
        self._written = time.monotonic()

    def _reached(self) -> int:
        assert self._folder is not None
        try:
            kept = json.loads((self._folder / _PLACE).read_text())
        except (OSError, ValueError):
            return 0
        if kept["key"] != self._key or not (self._folder / _ROWS).is_file():
            return 0
        return int(kept["next"])
