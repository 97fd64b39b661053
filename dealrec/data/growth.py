"""Data that a later append needs and that no stage reads. They are stored beside the data set's files."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dealrec.config import Column, SplitMethod
from dealrec.data.appended import Appended
from dealrec.data.catalogue import Catalogue, following
from dealrec.data.dataset import Dataset
from dealrec.data.filters import Filtered
from dealrec.data.findings import FileFindings
from dealrec.data.interactions import Interactions, following_rows
from dealrec.data.sessions import without_sessions
from dealrec.data.stored import stored_table
from dealrec.errors import InputError

_FACTS, _ORDER, _ASIDE = "growth.json", "growth-order.parquet", "growth-aside.parquet"
_ITEMS, _ITEMS_ASIDE = "growth-items.parquet", "growth-aside-items.parquet"
_TIME = "timestamp.whole"
"""The key of order that a data set keeps as its times."""
_UNTITLED, _TITLED = 1, 2
"""Marks of the items that the items file has; 0 is an item that only interactions name."""


@dataclass(frozen=True)
class Growth:
    """The keys of order, the rows that filters set aside, and what the items file said."""

    rows: Interactions
    """The interactions of the data set, in its order."""
    aside: Sequence[Interactions]
    listed: Catalogue | None
    """The items of the items file before any filter; ``None`` where there was no such file."""
    columns: Mapping[Column, str]
    sessions: bool
    """Whether the users of the rows are sessions."""
    newest: int | None
    """The newest timestamp of all rows that were read, also of those that a filter dropped."""

    @classmethod
    def of(
        cls,
        read: Interactions,
        left: Filtered,
        listed: Catalogue | None,
        columns: Mapping[Column, str],
    ) -> "Growth":
        """Gather it: ``read`` are all rows, and ``left`` is what the filters made of them."""
        newest = None if read.times is None else int(read.times.max())
        if newest is not None and read.newest is not None:
            newest = max(newest, read.newest)
        sessions = left.cut_users is not None
        return cls(left.rows, left.aside, listed, columns, sessions, newest)

    def save(self, folder: Path, dataset: Dataset) -> None:
        """Write the files; ``dataset`` is the one that ``rows`` became."""
        names = list(self.rows.order)
        facts = {
            "order": names,
            "newest": self.newest,
            "columns": {ours.value: theirs for ours, theirs in self.columns.items()},
            "listed": self.listed is not None,
            "sessions": self.sessions,
        }
        (folder / _FACTS).write_text(json.dumps(facts))
        further = {name: self.rows.order[name] for name in names if name != _TIME}
        if further:
            pq.write_table(pa.table(further), folder / _ORDER, compression="zstd")
        if self.aside:
            parts = pa.concat_tables([_table(part) for part in self.aside])
            pq.write_table(parts, folder / _ASIDE, compression="zstd")
        if self.listed is not None:
            self._save_items(folder, dataset, self.listed)

    def _save_items(self, folder: Path, dataset: Dataset, listed: Catalogue) -> None:
        at = pc.index_in(dataset.item_ids, value_set=listed.item_ids)
        titled = pc.fill_null(listed.titles.is_valid().take(at), False)
        marks = np.where(titled.to_numpy(zero_copy_only=False), _TITLED, _UNTITLED)
        marks[at.is_null().to_numpy(zero_copy_only=False)] = 0
        pq.write_table(pa.table({"listed": marks.astype(np.int8)}), folder / _ITEMS)
        left_out = pc.invert(pc.is_in(listed.item_ids, value_set=dataset.item_ids))
        if pc.any(left_out).as_py():
            kept = listed.where(left_out)
            texts = {f"text:{name}": text for name, text in kept.texts.items()}
            table = pa.table({"item_id": kept.item_ids, "title": kept.titles, **texts})
            pq.write_table(table, folder / _ITEMS_ASIDE, compression="zstd")


@dataclass(frozen=True)
class Before:
    """The version that files are appended to."""

    dataset: Dataset
    rows: Interactions
    """Its rows, and those that filters set aside; their row numbers are negative."""
    catalogue: Catalogue | None
    """Its items file before any filter."""
    columns: Mapping[Column, str]
    """How the columns of its interactions were called."""

    @classmethod
    def load(cls, folder: Path) -> "Before":
        """Read a version from the folder of its data set.

        Raises:
            InputError: ``append_not_possible`` for data sets of which that is not kept: those that came with
                samples, were made in memory, or were stored by earlier versions of DEALRec.
        """
        dataset = Dataset.load(folder)
        if dataset.given is not None:
            raise came_with_samples()
        if not (folder / _FACTS).is_file():
            raise not_possible(
                "The order of its rows was not kept, because it was made in memory or stored by an "
                "earlier version of DEALRec. Make a new data set from all of its files, and append to "
                "that one (`source_dataset_id` in a request for a data set reads the stored files "
                "again).",
            )
        facts = json.loads((folder / _FACTS).read_text())
        rows = _stored_rows(folder, dataset, facts["order"])
        if (folder / _ASIDE).is_file():
            rows = following_rows(rows, _rows(stored_table(folder / _ASIDE), facts["order"]))
        if facts.get("sessions"):
            rows = without_sessions(rows)
        return cls(
            dataset,
            replace(rows, newest=facts["newest"]),
            _catalogue(folder, dataset) if facts["listed"] else None,
            {Column(ours): theirs for ours, theirs in facts["columns"].items()},
        )

    def account(self, made: Dataset, added: Interactions, findings: FileFindings) -> Appended:
        """Count what the rows ``added`` changed; ``made`` is the version that they gave."""
        new = added.take(~np.isin(added.rows, findings.repeated))
        newest = None if self.dataset.times is None else int(self.dataset.times.max())
        late = 0 if newest is None or new.times is None else int((new.times < newest).sum())
        at = pc.index_in(made.item_ids, value_set=self.dataset.item_ids)
        known = at.is_valid().to_numpy(zero_copy_only=False)
        users = pc.is_in(made.user_ids, value_set=self.dataset.user_ids)
        untitled = pc.equal(self.dataset.titles, self.dataset.item_ids).take(at)
        titled = pc.and_(pc.fill_null(untitled, False), pc.not_equal(made.titles, made.item_ids))
        return {
            "parent_sha256": self.dataset.sha256,
            "interactions": len(new.users),
            "repeated": len(findings.repeated),
            "replaced": findings.replaced,
            "late": late,
            "new_users": made.n_users - (pc.sum(users).as_py() or 0),
            "new_items": int((~known).sum()),
            "new_texts": pc.sum(titled).as_py() or 0,
        }


def _stored_rows(folder: Path, dataset: Dataset, names: Sequence[str]) -> Interactions:
    further = stored_table(folder / _ORDER) if (folder / _ORDER).is_file() else pa.table({})
    order = {name: dataset.times if name == _TIME else further[name].to_numpy() for name in names}
    assert all(values is not None for values in order.values())
    return Interactions(
        user_ids=dataset.user_ids,
        item_ids=dataset.item_ids,
        users=dataset.users(),
        items=dataset.items,
        order={name: values for name, values in order.items() if values is not None},
        times=dataset.times,
        splits=dataset.splits if dataset.split_method is SplitMethod.COLUMN else None,
        rows=np.full(dataset.n_interactions, -1, np.int64),
        ratings=dataset.ratings,
    )


def _table(rows: Interactions) -> pa.Table:
    """The rows with ids as texts."""
    columns: dict[str, Any] = {
        "user_id": rows.user_ids.take(pa.array(rows.users)),
        "item_id": rows.item_ids.take(pa.array(rows.items)),
        **{f"order:{name}": values for name, values in rows.order.items()},
    }
    further = {"time": rows.times, "split": rows.splits, "rating": rows.ratings}
    return pa.table(columns | {name: one for name, one in further.items() if one is not None})


def _rows(table: pa.Table, names: Sequence[str]) -> Interactions:
    """The rows of :func:`_table`."""
    users, items = (
        table[name].combine_chunks().dictionary_encode() for name in ("user_id", "item_id")
    )
    there = {
        name: table[name].to_numpy()
        for name in ("time", "split", "rating")
        if name in table.column_names
    }
    return Interactions(
        user_ids=users.dictionary,
        item_ids=items.dictionary,
        users=users.indices.to_numpy(),
        items=items.indices.to_numpy(),
        order={name: table[f"order:{name}"].to_numpy() for name in names},
        times=there.get("time"),
        splits=there.get("split"),
        rows=np.full(table.num_rows, -1, np.int64),
        ratings=there.get("rating"),
    )


def _catalogue(folder: Path, dataset: Dataset) -> Catalogue:
    marks = stored_table(folder / _ITEMS)["listed"].to_numpy()
    titles = pc.if_else(pa.array(marks == _TITLED), dataset.titles, None)
    stored = Catalogue(dataset.item_ids, titles, dataset.item_texts).where(pa.array(marks > 0))
    if not (folder / _ITEMS_ASIDE).is_file():
        return stored
    table = stored_table(folder / _ITEMS_ASIDE).combine_chunks()
    columns = {name: table[name].combine_chunks() for name in table.column_names}
    texts = {
        name.removeprefix("text:"): columns[name] for name in columns if name.startswith("text:")
    }
    return following(stored, Catalogue(columns["item_id"], columns["title"], texts))


def came_with_samples() -> InputError:
    """Make the refusal for a data set that came with samples of its own, with ids or without."""
    return not_possible(
        "It came with samples of its own, to which nothing can be appended. Make a new data set from "
        "all files instead; `samples` takes several files, or a folder."
    )


def not_possible(why: str) -> InputError:
    """Make the refusal of an append, with the reason and a way out as sentences."""
    return InputError(
        f"Nothing can be appended to this data set. {why}",
        code="append_not_possible",
        title="Nothing can be appended to the data set",
    )
