"""A vector of every sample from a language model, batch after batch, kept while they are made."""

import hashlib
import json
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dealrec.checkpoints import CheckpointFile
from dealrec.data.prompts import PromptedSample
from dealrec.disk import reserve
from dealrec.errors import DealrecError
from dealrec.language_models.batch_plan import BatchPlan
from dealrec.language_models.tokens import EncodedSample, Encoder
from dealrec.progress import SILENT, Reporter
from dealrec.selection.vectors import Float32

_ROWS, _PLACE = "vectors.f32", "vectors.json"
_SECONDS_BETWEEN_CHECKPOINTS = 5.0
_FORMAT = 2
"""Of what is written beside the rows: a checkpoint of another format is not gone on from."""


def vectors_of(
    plan: BatchPlan,
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
    is the same; on a disk without room for all rows they are in memory alone, which is told as the
    event ``checkpoint_not_written``. Each batch is measured in so many ``pieces``, for machines whose
    memory does not hold it whole.

    Raises:
        DealrecError: ``non_finite_score`` for a vector with a number that is none.
        Cancelled: When ``reporter`` says so, between batches.
    """
    store = _Store(checkpoint_dir, plan, width, made_with, reporter)
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
        store.keep(number, found)
        reporter.progress(int(plan.bounds[number + 1]), plan.count, "sample")
    return store.rows


class _Store:
    """The rows, in a file where there is a folder with room for it, and the first batch not in them.

    Two files are not replaced as one, and may be copied at different moments. So beside the rows lies
    a sum of them at each checkpoint, and a run goes on from the last whose sum is that of the rows.
    """

    def __init__(
        self,
        folder: Path | None,
        plan: BatchPlan,
        width: int,
        made_with: dict[str, Any],
        reporter: Reporter,
    ) -> None:
        self._plan = plan
        self._key = hashlib.sha256(
            json.dumps([_FORMAT, plan.fingerprint, width, made_with], sort_keys=True).encode()
        ).hexdigest()
        self.following = 0
        self._sum = 0
        self._reached: list[tuple[int, int]] = []
        self._place: CheckpointFile | None = None
        self.rows: Float32
        shape = (plan.count, width)
        if folder is None or not plan.count:
            self.rows = np.empty(shape, dtype=np.float32)
            return
        rows = folder / _ROWS
        try:
            folder.mkdir(parents=True, exist_ok=True)
            reserve(rows, plan.count * width * np.dtype(np.float32).itemsize)
        except OSError as error:
            reporter.event("checkpoint_not_written", reason=error.strerror or "unknown")
            self.rows = np.empty(shape, dtype=np.float32)
            return
        self.rows = np.memmap(rows, dtype=np.float32, mode="r+", shape=shape)
        self._place = CheckpointFile(folder / _PLACE, reporter)
        self._go_on()
        self._written = time.monotonic()

    def keep(self, number: int, found: Float32) -> None:
        """``found`` are the rows of batch ``number``; all before it are kept."""
        self.rows[self._plan.batch(number)] = found
        if self._place is None:
            return
        assert isinstance(self.rows, np.memmap)
        self._sum = zlib.crc32(np.ascontiguousarray(found).tobytes(), self._sum)
        if time.monotonic() - self._written < _SECONDS_BETWEEN_CHECKPOINTS:
            return
        self.rows.flush()  # before it is said that they are there
        self._reached.append((number + 1, self._sum))
        said = json.dumps({"key": self._key, "reached": self._reached}).encode()
        self._place.write(lambda content: content.write(said))
        self._written = time.monotonic()

    def _go_on(self) -> None:
        """From the last checkpoint whose rows are all there."""
        assert self._place is not None
        try:
            kept = json.loads(self._place.path.read_text())
        except (OSError, ValueError):
            return
        if not isinstance(kept, dict) or kept.get("key") != self._key:
            return
        number, total = 0, 0
        for following, wanted in kept["reached"]:
            for batch in range(number, following):
                total = zlib.crc32(self.rows[self._plan.batch(batch)].tobytes(), total)
            if total != wanted:
                return
            number = following
            self.following, self._sum = following, total
            self._reached.append((following, total))
