"""Vectors of samples, in memory and as files that are mapped rather than read."""

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
    """A vector of every sample, and of validation samples in the same space."""

    samples: Float32
    """[n, d]; may be mapped from a file."""
    validation: Float32 | None = None
    """[m, d]; ``None`` where the data has no validation split."""


@dataclass(frozen=True)
class MadeVectors:
    """The result of the stages ``embedding`` and ``gradients``."""

    vectors: Vectors
    diagnostics: dict[str, Any]
    """What was computed, and with what: JSON."""

    def save(self, folder: Path) -> None:
        """Write ``samples.arrow``, ``validation.arrow`` where there are any, and ``result.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        _write(self.vectors.samples, folder / _SAMPLES)
        if self.vectors.validation is not None:
            _write(self.vectors.validation, folder / _VALIDATION)
        (folder / _FACTS).write_text(json.dumps(self.diagnostics, indent=2))

    @classmethod
    def load(cls, folder: Path) -> "MadeVectors":
        """What :meth:`save` wrote, mapped: memory holds the pages that are looked at."""
        validation = folder / _VALIDATION
        vectors = Vectors(
            _mapped(folder / _SAMPLES), _mapped(validation) if validation.is_file() else None
        )
        return cls(vectors, json.loads((folder / _FACTS).read_text()))


def _write(values: Float32, path: Path) -> None:
    """Arrow's uncompressed file format, as one batch: a row a vector."""
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
