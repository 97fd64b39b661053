"""Samples that people bring, whose texts stand as they are."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.data.texts import TEXT

_ROWS = 4096


@dataclass(frozen=True)
class GivenSamples:
    """``n`` samples of a data set, in the order of the bytes of their ids."""

    keys: pa.Array
    """[n] text, distinct."""
    users: npt.NDArray[np.int32]
    """[n] dense user indices."""
    offsets: npt.NDArray[np.int64]
    """[n + 1] bounds of each sample's items in ``items``."""
    items: npt.NDArray[np.int32]
    """Dense item indices: each sample's history, oldest first, and then its target."""
    texts: pa.Array
    """[n] of the type :data:`~dealrec.data.texts.TEXT`."""
    splits: npt.NDArray[np.int8] | None = None
    """[n] codes of :data:`~dealrec.data.dataset.SPLIT_CODES`; ``None``: all samples are for training. Only
    texts without ids are held out; others follow the split of the interactions."""

    def __len__(self) -> int:
        return len(self.users)

    def of_split(self, code: int) -> "GivenSamples":
        """Restrict to a split of texts without ids."""
        if self.splits is None:
            return self if code == 0 else self.texts_at(np.empty(0, np.int64))
        return self.texts_at(np.flatnonzero(self.splits == code))

    def texts_at(self, places: npt.NDArray[np.int64]) -> "GivenSamples":
        """Restrict texts without ids to ``places``."""
        return GivenSamples(
            self.keys.take(pa.array(places)),
            self.users[places],
            np.zeros(len(places) + 1, np.int64),
            self.items[:0],
            self.texts.take(pa.array(places)),
            None if self.splits is None else self.splits[places],
        )

    def save(self, path: Path) -> None:
        """Write a Parquet file."""
        items = pa.ListArray.from_arrays(pa.array(self.offsets, pa.int32()), pa.array(self.items))
        columns = {"sample_id": self.keys, "user": self.users, "items": items, "text": self.texts}
        if self.splits is not None:
            columns["split"] = self.splits
        pq.write_table(pa.table(columns), path, compression="zstd")

    @classmethod
    def load(cls, path: Path) -> "GivenSamples":
        """Read the file that :meth:`save` wrote."""
        table = pq.read_table(path).combine_chunks()
        items = table["items"].combine_chunks()
        return cls(
            table["sample_id"].combine_chunks(),
            table["user"].to_numpy(),
            items.offsets.to_numpy().astype(np.int64),
            items.values.to_numpy(),
            table["text"].combine_chunks().cast(TEXT),
            table["split"].to_numpy() if "split" in table.column_names else None,
        )

    def hash_into(self, add: Callable[[bytes], None]) -> None:
        """Give the content to a hash, a part of the texts at a time."""
        splits = () if self.splits is None else (self.splits,)
        for values in (self.users, self.offsets, self.items, *splits):
            add(np.ascontiguousarray(values).tobytes())
        for start in range(0, len(self), _ROWS):
            rows = zip(
                self.keys.slice(start, _ROWS).to_pylist(),
                self.texts.slice(start, _ROWS).to_pylist(),
                strict=True,
            )
            add(json.dumps([*rows], ensure_ascii=False, sort_keys=True).encode())
