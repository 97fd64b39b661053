"""Vectors of samples, in memory or in memory-mapped files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Float32 = npt.NDArray[np.float32]

_SAMPLES, _VALIDATION, _FACTS = "samples.arrow", "validation.arrow", "result.json"


@dataclass(frozen=True)
class Vectors:
    """The vectors of all samples, and of validation samples in the same space."""

    samples: Float32
    """[n, d]; may be memory-mapped from a file."""
    validation: Float32 | None = None
    """[m, d]; ``None`` if the data has no validation split."""


@dataclass(frozen=True)
class MadeVectors:
    """The result of the stages ``embedding`` and ``gradients``."""

    vectors: Vectors
    diagnostics: dict[str, Any]
    """Facts about the computation, as JSON."""

    def save(self, folder: Path) -> None:
        """Write ``samples.arrow``, ``result.json``, and ``validation.arrow`` if there are any."""
        folder.mkdir(parents=True, exist_ok=True)
        _write(self.vectors.samples, folder / _SAMPLES)
        if self.vectors.validation is not None:
            _write(self.vectors.validation, folder / _VALIDATION)
        (folder / _FACTS).write_text(json.dumps(self.diagnostics, indent=2))

    @classmethod
    def load(cls, folder: Path) -> "MadeVectors":
        """Memory-map the files that :meth:`save` wrote; only the pages in use take memory."""
        validation = folder / _VALIDATION
        vectors = Vectors(
            _mapped(folder / _SAMPLES), _mapped(validation) if validation.is_file() else None
        )
        return cls(vectors, json.loads((folder / _FACTS).read_text()))


def _write(values: Float32, path: Path) -> None:
    """Write one batch in Arrow's uncompressed file format, with a vector a row."""
    width = values.shape[1]
    flat = pa.array(np.ascontiguousarray(values, dtype=np.float32).reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(flat, width)
    batch = pa.record_batch([column], names=["vector"])
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)


def _mapped(path: Path) -> Float32:
    with pa.memory_map(str(path)) as file:
        column = pa.ipc.open_file(file).read_all()["vector"].combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0)
    values: Float32 = column.flatten().to_numpy(zero_copy_only=True)
    return values.reshape(len(column), -1)
