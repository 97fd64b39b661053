"""A validated data set in memory: the sequences of all users in one flat array with offsets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from dealrec.config import Split, SplitMethod
from dealrec.data.findings import Validation
from dealrec.data.given import GivenSamples
from dealrec.data.stored import stored_table

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
Int8 = npt.NDArray[np.int8]
Bools = npt.NDArray[np.bool_]

REPORT = "report.json"
"""The report of an ingestion, beside the files of its data set."""
_GIVEN = "samples.parquet"
SPLIT_CODES: dict[Split, int] = {Split.TRAIN: 0, Split.VALID: 1, Split.TEST: 2}


@dataclass(frozen=True)
class Dataset:
    """An immutable data set of ``U`` users, ``I`` items and ``N`` interactions.

    Users and items are dense indices into ``user_ids`` and ``item_ids``, which keep the ids exactly as
    they were written. Both are in the order of the bytes of the ids (in data sets that version 0.1.0 stored,
    in the order of first appearance). The interactions of user ``u`` are
    ``items[offsets[u]:offsets[u + 1]]``, in the order of :func:`~dealrec.data.sequences.in_order`.
    ``splits`` holds the split of each interaction as a code of ``SPLIT_CODES``.
    """

    user_ids: pa.Array
    """[U] text."""
    item_ids: pa.Array
    """[I] text. Items without interactions are kept, because they can be recommended."""
    titles: pa.Array
    """[I] text; the title of an item without one is its id."""
    item_texts: Mapping[str, pa.Array]
    """Further text columns of the items file, each [I], null where empty."""
    offsets: Int64
    """[U + 1] bounds of each user's interactions in ``items``."""
    items: Int32
    """[N] dense item indices."""
    splits: Int8
    """[N] codes of ``SPLIT_CODES``."""
    split_method: SplitMethod
    sha256: str
    """SHA-256 of the content (:func:`~dealrec.data.canonical.canonical_sha256`), not of file bytes."""
    times: Int64 | None = None
    """[N] timestamps as the file has them, without fractions; seconds since 1970 where it has dates.
    ``None`` without timestamps, and in data sets that version 0.1.0 stored. See :mod:`dealrec.data.times`."""
    ratings: Float32 | None = None
    """[N] ratings, NaN where an interaction has none; ``None`` unless ``data.ratings`` keeps them."""
    given: GivenSamples | None = None
    """Samples that came with the data, with their own texts."""
    validation: Validation | None = None
    """The sums of the validation, if the data set was loaded from the folder of an ingestion."""

    @property
    def has_ids(self) -> bool:
        """Whether it knows items; otherwise it is of texts alone, the samples in ``given``."""
        return len(self.item_ids) > 0

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        return len(self.item_ids)

    @property
    def n_interactions(self) -> int:
        return len(self.items)

    def has(self, split: Split) -> bool:
        """Whether any interaction belongs to ``split``."""
        return bool((self.splits == SPLIT_CODES[split]).any())

    def users_asked(self, split: Split) -> int:
        """The number of users with an item in ``split`` and one before it, who can be evaluated."""
        users, code = self.users(), SPLIT_CODES[split]
        with_answer = np.bincount(users[self.splits == code], minlength=self.n_users) > 0
        with_history = np.bincount(users[self.splits < code], minlength=self.n_users) > 0
        return int((with_answer & with_history).sum())

    def users(self) -> Int32:
        """[N] dense user index of every interaction."""
        return np.repeat(np.arange(self.n_users, dtype=np.int32), np.diff(self.offsets))

    def subsequences(self, split_codes: tuple[int, ...]) -> tuple[Int64, Int32]:
        """Restrict the sequences to some splits.

        Returns:
            [U + 1] offsets, and the flat dense items that they point into.
        """
        keep = np.isin(self.splits, split_codes)
        kept = np.concatenate([[0], np.cumsum(keep)])
        return kept[self.offsets].astype(np.int64), self.items[keep]

    def restricted(self, kept: Bools, *, sha256: str) -> "Dataset":
        """Restrict to the interactions in ``kept`` [N]; users and items keep their indices.

        ``sha256`` identifies the restricted data set, which is not hashed anew.
        """
        before = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
        return replace(
            self,
            offsets=before[self.offsets],
            items=self.items[kept],
            splits=self.splits[kept],
            times=None if self.times is None else self.times[kept],
            ratings=None if self.ratings is None else self.ratings[kept],
            sha256=sha256,
        )

    def save(self, folder: Path) -> None:
        """Write ``interactions.parquet``, ``users.parquet``, ``items.parquet``, ``dataset.json``.

        Samples that came with the data are in ``samples.parquet``.
        """
        folder.mkdir(parents=True, exist_ok=True)
        columns = {"user": self.users(), "item": self.items, "split": self.splits}
        if self.times is not None:
            columns["time"] = self.times
        if self.ratings is not None:
            columns["rating"] = self.ratings
        pq.write_table(
            pa.table(columns),
            folder / "interactions.parquet",
            compression="zstd",
            use_dictionary=[name for name in ("item", "split", "rating") if name in columns],
            column_encoding={
                name: "DELTA_BINARY_PACKED" for name in ("user", "time") if name in columns
            },
        )
        pq.write_table(pa.table({"user_id": self.user_ids}), folder / "users.parquet")
        texts = {f"text:{name}": column for name, column in self.item_texts.items()}
        items = pa.table({"item_id": self.item_ids, "title": self.titles, **texts})
        pq.write_table(items, folder / "items.parquet", compression="zstd")
        if self.given is not None:
            self.given.save(folder / _GIVEN)
        facts = {"split": self.split_method.value, "sha256": self.sha256}
        (folder / "dataset.json").write_text(json.dumps(facts))

    @classmethod
    def load(cls, folder: Path) -> "Dataset":
        """Read the files that :meth:`save` wrote."""
        facts = json.loads((folder / "dataset.json").read_text())
        interactions = stored_table(folder / "interactions.parquet")
        user_ids = _column(stored_table(folder / "users.parquet"), "user_id")
        items = stored_table(folder / "items.parquet")
        counts = np.bincount(interactions["user"].to_numpy(), minlength=len(user_ids))
        return cls(
            user_ids=user_ids,
            item_ids=_column(items, "item_id"),
            titles=_column(items, "title"),
            item_texts={
                name.removeprefix("text:"): _column(items, name)
                for name in items.column_names
                if name.startswith("text:")
            },
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            items=interactions["item"].to_numpy(),
            splits=interactions["split"].to_numpy(),
            split_method=SplitMethod(facts["split"]),
            sha256=facts["sha256"],
            times=_numbers(interactions, "time"),
            ratings=_numbers(interactions, "rating"),
            given=GivenSamples.load(folder / _GIVEN) if (folder / _GIVEN).is_file() else None,
            validation=_validation(folder / REPORT),
        )


def _validation(path: Path) -> Validation | None:
    if not path.is_file():
        return None
    report = json.loads(path.read_text())["report"]
    names = Validation.__annotations__
    # The reports of the first version have no reasons and no filters.
    return (
        cast("Validation", {name: report[name] for name in names if name in report})
        if "removed" in report
        else None
    )


def _numbers(table: pa.Table, name: str) -> Any:
    return table[name].to_numpy() if name in table.column_names else None


def _column(table: pa.Table, name: str) -> pa.Array:
    return table[name].combine_chunks()
