"""Computes a vector per sample with a language model, batch by batch, with checkpoints on disk."""

import hashlib
import json
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from dealrec.checkpoints import CheckpointFile
from dealrec.data.prompts import PromptedSample
from dealrec.disk import reserve
from dealrec.errors import DealrecError
from dealrec.language_models.batch_plan import BatchPlan
from dealrec.language_models.side_by_side import Measure, measured_batches
from dealrec.language_models.tokens import Encoder
from dealrec.progress import SILENT, Reporter
from dealrec.selection.vectors import Float32

_ROWS, _PLACE = "vectors.f32", "vectors.json"
_SECONDS_BETWEEN_CHECKPOINTS = 5.0
_FORMAT = 2
"""The format of the file beside the rows. A checkpoint of another format is not resumed."""


def vectors_of(
    plan: BatchPlan,
    prompted: Callable[[int], PromptedSample],
    encoder: Encoder,
    measures: Sequence[Measure],
    width: int,
    *,
    made_with: Mapping[str, str],
    checkpoint_dir: Path | None = None,
    reporter: Reporter = SILENT,
    pieces: int = 1,
) -> Float32:
    """Compute the [n, width] vectors of the ``n`` samples of ``plan``.

    Args:
        plan: The batches of all samples.
        prompted: Maps a dense sample index to the sample in words.
        encoder: Turns samples into tokens.
        measures: Each maps ``b`` samples to their [b, width] vectors, see
            :func:`~dealrec.language_models.side_by_side.measured_batches`.
        width: The numbers in a vector.
        made_with: Everything the vectors depend on besides the plan. A checkpoint made with
            anything else is not resumed.
        checkpoint_dir: The folder that receives the finished batches every few seconds, so that a
            run that was cut off goes on after them. If the disk has no room for all rows, they stay
            in memory and ``reporter`` receives the event ``checkpoint_not_written``.
        reporter: Receives the number of finished samples.
        pieces: The number of parts in which a batch is measured if memory does not hold it whole.

    Raises:
        DealrecError: ``non_finite_score`` if a vector holds a number that is not finite.
        Cancelled: ``reporter`` cancelled the run between batches.
    """
    store = _Store(checkpoint_dir, plan, width, made_with, reporter)
    whole = plan.whole()
    for batch, vectors in measured_batches(
        plan, whole, store.following, encoder, prompted, measures, reporter, pieces
    ):
        found = vectors.float().cpu().numpy()
        if not np.isfinite(found).all():
            raise DealrecError(
                (
                    "A vector of the language model has a value that is not finite. Use `dtype: float32`, "
                    "or another model."
                ),
                code="non_finite_score",
                title="A score is not a finite number",
            )
        store.keep(batch.number, found)
    return store.rows


class _Store:
    """The rows of all samples, and the first batch whose rows are missing.

    The rows are in a file if there is a folder with room for it, otherwise in memory. The file and
    the list of checkpoints beside it are not replaced in one step and may be copied at different
    moments. So the list holds a checksum of the rows for each checkpoint, and a run resumes from the
    last checkpoint whose checksum matches.
    """

    def __init__(
        self,
        folder: Path | None,
        plan: BatchPlan,
        width: int,
        made_with: Mapping[str, str],
        reporter: Reporter,
    ) -> None:
        self._plan = plan
        self._key = hashlib.sha256(
            json.dumps([_FORMAT, plan.fingerprint, width, dict(made_with)], sort_keys=True).encode()
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
        """Keep the rows of batch ``number``; all batches before it must be kept already."""
        self.rows[self._plan.batch(number)] = found
        if self._place is None:
            return
        assert isinstance(self.rows, np.memmap)
        self._sum = zlib.crc32(np.ascontiguousarray(found).tobytes(), self._sum)
        if time.monotonic() - self._written < _SECONDS_BETWEEN_CHECKPOINTS:
            return
        self.rows.flush()  # the rows must be on disk before the list says so
        self._reached.append((number + 1, self._sum))
        said = json.dumps({"key": self._key, "reached": self._reached}).encode()
        self._place.write(lambda content: content.write(said))
        self._written = time.monotonic()

    def _go_on(self) -> None:
        """Resume from the last checkpoint whose rows are all in the file."""
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
