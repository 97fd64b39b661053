"""Vectors of texts from a language model that stays as it is: each is computed once and kept."""

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dealrec.disk import written_whole
from dealrec.language_models.memory import run_in_halves
from dealrec.language_models.tokens import EncodedSample, batches_by_tokens
from dealrec.progress import SILENT, Reporter

_CHUNK_TEXTS = 256
"""Texts in a file; a process that dies loses the texts of one file at most."""
Digest = bytes


class PooledStates:
    """Keeps a vector [h] for each text, found by the text's tokens.

    Vectors that another process kept in ``folder`` are used again. A file is named after its texts, so
    that processes that fill one folder at a time lose nothing of each other's. Sums over padded batches
    differ in their last place from batch to batch, so a vector also depends in the last place on the
    texts beside which it was computed first.

    Args:
        read: Maps ``b`` texts to their vectors [b, h].
        width: ``h``.
        folder: Where the vectors are kept between processes; it must be of this ``read`` alone.
            ``None`` keeps them in memory.
        batch_tokens: Padded tokens that are read at a time.
    """

    def __init__(
        self,
        read: Callable[[Sequence[EncodedSample]], Tensor],
        width: int,
        folder: Path | None,
        *,
        batch_tokens: int = 4096,
    ) -> None:
        self._read, self._width, self._folder = read, width, folder
        self._batch_tokens = batch_tokens
        self._places: dict[Digest, tuple[int, int]] = {}
        self._chunks: list[Tensor] = []
        self.seconds, self.tokens = 0.0, 0
        """How long computing all kept vectors took, in this process or another, and their tokens."""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(folder.glob("*.npz")):
                with np.load(path, allow_pickle=False) as kept:
                    self._add(kept["digests"], torch.from_numpy(kept["vectors"]))
                    self.seconds += float(kept["seconds"])
                    self.tokens += int(kept["tokens"])

    def keep(self, texts: Sequence[EncodedSample], reporter: Reporter = SILENT) -> None:
        """Compute the vectors that are not kept yet; ``reporter`` gets ``text``.

        Raises :class:`~dealrec.errors.Cancelled` when ``reporter`` says so, and ``OSError`` if the
        disk has no room.
        """
        named = {_digest(text): text for text in texts}
        new = sorted(
            (digest for digest in named if digest not in self._places),
            key=lambda digest: (-len(named[digest]), digest),
        )
        for first in range(0, len(new), _CHUNK_TEXTS):
            digests = new[first : first + _CHUNK_TEXTS]
            self._keep_chunk(digests, [named[d] for d in digests], (first, len(new)), reporter)
        reporter.progress(len(new), len(new), "text")

    def vectors(self, texts: Sequence[EncodedSample]) -> Tensor:
        """Return [b, h] float32; what is not kept yet is computed."""
        if any(_digest(text) not in self._places for text in texts):
            self.keep(texts)
        found = torch.empty(len(texts), self._width)
        for row, text in zip(found, texts, strict=True):
            chunk, place = self._places[_digest(text)]
            row.copy_(self._chunks[chunk][place])
        return found

    def _keep_chunk(
        self,
        digests: Sequence[Digest],
        texts: Sequence[EncodedSample],
        done: tuple[int, int],
        reporter: Reporter,
    ) -> None:
        lengths = [len(text) for text in texts]
        vectors = torch.empty(len(texts), self._width)
        started, count = time.perf_counter(), 0

        def read(batch: Sequence[int]) -> None:
            vectors[list(batch)] = self._read([texts[index] for index in batch]).float().cpu()

        for batch in batches_by_tokens(lengths, self._batch_tokens):
            reporter.progress(done[0] + count, done[1], "text")
            run_in_halves(batch, read)
            count += len(batch)
        seconds = time.perf_counter() - started
        names = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(len(digests), -1)
        if self._folder is not None:
            path = self._folder / f"{hashlib.sha256(names.tobytes()).hexdigest()[:32]}.npz"
            with written_whole(path) as part, part.open("wb") as file:
                np.savez(
                    file,
                    digests=names,
                    vectors=vectors.numpy(),
                    seconds=seconds,
                    tokens=sum(lengths),
                )
        self._add(names, vectors)
        self.seconds += seconds
        self.tokens += sum(lengths)

    def _add(self, digests: npt.NDArray[np.uint8], vectors: Tensor) -> None:
        for place, digest in enumerate(digests):
            self._places[digest.tobytes()] = len(self._chunks), place
        self._chunks.append(vectors)


def _digest(text: EncodedSample) -> Digest:
    """The first 16 bytes of the SHA-256 of the text's tokens."""
    return hashlib.sha256(np.asarray(text.ids, dtype=np.int64).tobytes()).digest()[:16]
