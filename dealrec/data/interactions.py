"""Reads the interactions of a file: rows are checked, and ids become dense indices.

Memory is bounded by the size of the result.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.config import Column, DataOptions, SplitMethod
from dealrec.config.data import AS_THEY_ARE
from dealrec.data.dataset import Float32, Int8, Int32, Int64
from dealrec.data.dates import ANY_FORM, CellForm
from dealrec.data.findings import SHOWN, FileFindings
from dealrec.data.limits import Limits
from dealrec.data.opening import SourceTable
from dealrec.data.splits import SPLIT_NAMES
from dealrec.data.tables import BadRow, Batch, counted_batches
from dealrec.data.values import (
    OrderValues,
    as_order,
    as_text,
    holds_nul,
    is_blank,
    is_missing,
    longer_than,
)
from dealrec.errors import FieldError, InputError

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]

_KEYS: Mapping[str, type[np.int64 | np.float64]] = {
    f"{column}.{part}": kind
    for column in (Column.TIMESTAMP, Column.POSITION)
    for part, kind in (("whole", np.int64), ("fraction", np.float64))
}
"""The keys of order and their types."""
_TIME = f"{Column.TIMESTAMP}.whole"


@dataclass(frozen=True)
class Interactions:
    """``N`` accepted rows in file order, without those that a filter of rows has removed.

    Users and items are numbered by first appearance.
    """

    user_ids: pa.Array
    item_ids: pa.Array
    users: Int32
    """[N] dense user indices."""
    items: Int32
    """[N] dense item indices."""
    order: Mapping[str, npt.NDArray[np.int64 | np.float64]]
    """Keys that order a user's interactions by their names, each [N], the most significant one first."""
    times: Int64 | None
    """[N] timestamps without their fractions, where the file has any."""
    splits: Int8 | None
    """[N] codes of ``SPLIT_CODES``, or ``None`` unless the file's own split is used."""
    rows: Int64
    """[N] row in the file, as in :class:`~dealrec.data.tables.Batch`; negative in an earlier version."""
    ratings: Float32 | None = None
    """[N] ratings where they are kept, NaN where a row has none."""
    newest: int | None = None
    """A timestamp that counts for ``last_days`` beside those of the rows."""

    def key(self, name: str) -> npt.NDArray[np.int64 | np.float64]:
        """[N] a key of order; zeros where it orders nothing and is left out."""
        return self.order.get(name, np.zeros(len(self.users), _KEYS[name]))

    @property
    def keys(self) -> list[npt.NDArray[np.int64 | np.float64]]:
        """The keys of order, the most significant one first."""
        return list(self.order.values())

    def take(self, rows: Bool | Int64) -> "Interactions":
        """Take some of the rows, by a mask or in the order of their indices; the ids stay."""
        return replace(
            self,
            users=self.users[rows],
            items=self.items[rows],
            order={name: values[rows] for name, values in self.order.items()},
            times=None if self.times is None else self.times[rows],
            splits=None if self.splits is None else self.splits[rows],
            rows=self.rows[rows],
            ratings=None if self.ratings is None else self.ratings[rows],
        )


def following_rows(first: Interactions, second: Interactions) -> Interactions:
    """The rows of ``second`` after those of ``first``; both have times, splits and ratings, or neither."""
    user_ids, users = _extended(first.user_ids, second.user_ids, second.users)
    item_ids, items = _extended(first.item_ids, second.item_ids, second.items)
    names = [name for name in _KEYS if name in first.order or name in second.order]
    times = _both(first.times, second.times)
    order = {
        name: times
        if times is not None and name == _TIME
        else np.concatenate([first.key(name), second.key(name)])
        for name in names
    }
    return Interactions(
        user_ids=user_ids,
        item_ids=item_ids,
        users=np.concatenate([first.users, users]),
        items=np.concatenate([first.items, items]),
        order=order,
        times=times,
        splits=_both(first.splits, second.splits),
        rows=np.concatenate([first.rows, second.rows]),
        ratings=_both(first.ratings, second.ratings),
        newest=first.newest,
    )


def _extended(known: pa.Array, ids: pa.Array, indices: Int32) -> tuple[pa.Array, Int32]:
    """Add to ``known`` the ids that are not there; ``indices`` [n] of ``ids`` become those of all."""
    at = pc.index_in(ids, value_set=known)
    new = at.is_null()
    places = pc.fill_null(at, 0).to_numpy(zero_copy_only=False).astype(np.int32)
    unknown = new.to_numpy(zero_copy_only=False)
    places[unknown] = len(known) + np.arange(int(unknown.sum()), dtype=np.int32)
    return pa.concat_arrays([known, ids.filter(new).cast(known.type)]), places[indices]


def _both(first: npt.NDArray[Any] | None, second: npt.NDArray[Any] | None) -> Any:
    if first is None or second is None:
        return None
    return np.concatenate([first, second])


@dataclass
class _Collected:
    users: list[pa.Array] = field(default_factory=list)
    items: list[pa.Array] = field(default_factory=list)
    order: dict[str, list[npt.NDArray[np.int64 | np.float64]]] = field(default_factory=dict)
    times: list[Int64] = field(default_factory=list)
    splits: list[Int8] = field(default_factory=list)
    rows: list[Int64] = field(default_factory=list)
    ratings: list[Float32] = field(default_factory=list)


def read_interactions(
    source: SourceTable,
    method: SplitMethod,
    findings: FileFindings,
    limits: Limits,
    options: DataOptions = AS_THEY_ARE,
) -> Interactions:
    """Read and check the whole file; rejected and removed rows are added to ``findings``.

    Raises:
        InputError: No row can be used, the file is over one of the ``limits``, or a filter needs a
            column that is not there (``filter_not_possible``).
    """
    wanted = used_columns(source.columns, method, options)
    collected = _Collected()
    for batch in counted_batches(source.table, list(dict.fromkeys(wanted.values())), limits):
        _collect(batch, wanted, source.forms, collected, findings, limits, options)
    findings.require_rows()
    findings.require_left()
    return _assembled(collected)


def used_columns(
    columns: Mapping[Column, str], method: SplitMethod, options: DataOptions
) -> dict[Column, str]:
    """Those of the found ``columns`` that are read: ids, order, and what the split and the filters need.

    Raises:
        InputError: ``filter_not_possible`` when a filter needs a column that is not there.
    """
    used = [Column.USER_ID, Column.ITEM_ID]
    used += [column for column in (Column.TIMESTAMP, Column.POSITION) if column in columns]
    if method is SplitMethod.COLUMN:
        used.append(Column.SPLIT)
    used += _filtered_columns(columns, options)
    return {column: columns[column] for column in used}


def _collect(
    batch: Batch,
    columns: Mapping[Column, str],
    forms: Mapping[Column, CellForm],
    collected: _Collected,
    findings: FileFindings,
    limits: Limits,
    options: DataOptions,
) -> None:
    checks = _Checks(batch, columns)
    users = checks.ids(Column.USER_ID, limits)
    items = checks.ids(Column.ITEM_ID, limits)
    order: dict[str, OrderValues] = {}
    for column in (Column.TIMESTAMP, Column.POSITION):
        if column in columns:
            form = forms.get(column, ANY_FORM)
            values = as_order(checks.column(column), dates=column is Column.TIMESTAMP, form=form)
            if column is Column.POSITION and Column.TIMESTAMP in columns:  # it only breaks ties
                _note_left_out(checks.column(column), values, columns[column], findings)
            else:
                checks.reject(~values.valid, column, f"invalid_{column}")
            order[column] = values
    splits = None
    if Column.SPLIT in columns:
        splits = _split_codes(as_text(checks.column(Column.SPLIT)))
        checks.reject(splits < 0, Column.SPLIT, "invalid_split")
    passing = _passing(checks, forms, options)
    findings.reject(*checks.rejected())
    findings.missing += checks.missing
    keep = checks.accepted
    findings.accepted += int(keep.sum())
    for name, passes in passing.items():
        keep = findings.remove(name, keep, passes)
    every = bool(keep.all())
    mask = None if every else pa.array(keep)
    for ids_into, ids in ((collected.users, users), (collected.items, items)):
        ids_into.append((ids if mask is None else ids.filter(mask)).dictionary_encode())
    for name, values in order.items():
        collected.order.setdefault(f"{name}.whole", []).append(values.whole[keep])
        collected.order.setdefault(f"{name}.fraction", []).append(values.fraction[keep])
    times = order[Column.TIMESTAMP].whole if Column.TIMESTAMP in columns else None
    ratings = _ratings(checks, forms).astype(np.float32) if options.ratings else None
    further: list[tuple[list[Any], npt.NDArray[Any] | None]] = [
        (collected.times, times),
        (collected.splits, splits),
        (collected.ratings, ratings),
    ]
    for into, kept in further:
        if kept is not None:
            into.append(kept[keep])
    collected.rows.append(batch.rows[keep])


def _ratings(checks: "_Checks", forms: Mapping[Column, CellForm]) -> Float64:
    """[n] ratings, NaN where a row has none."""
    form = forms.get(Column.RATING, ANY_FORM)
    ratings = as_order(checks.column(Column.RATING), dates=False, form=form)
    return np.where(ratings.valid, ratings.whole + ratings.fraction, np.nan)


def _passing(
    checks: "_Checks", forms: Mapping[Column, CellForm], options: DataOptions
) -> dict[str, Bool]:
    """Which rows [n] pass the filters of rows, by the filters' names."""
    passing = {}
    if options.min_rating is not None:
        ratings = _ratings(checks, forms)
        checks.reject(np.isnan(ratings), Column.RATING, "invalid_rating")
        passing["min_rating"] = ratings >= options.min_rating
    if options.events:
        events = pc.utf8_trim_whitespace(as_text(checks.column(Column.EVENT)))
        named = pc.is_in(events, value_set=pa.array(options.events))
        passing["events"] = named.to_numpy(zero_copy_only=False)
    return passing


def _filtered_columns(columns: Mapping[Column, str], options: DataOptions) -> list[Column]:
    """The columns that filters of rows read, and ratings that are kept."""
    rated = options.min_rating is not None or options.ratings
    needs = {Column.RATING: rated, Column.EVENT: bool(options.events)}
    found = [column for column, needed in needs.items() if needed]
    for column in found:
        if column not in columns:
            name = "events"
            if column is Column.RATING:
                name = "ratings" if options.min_rating is None else "min_rating"
            raise InputError(
                f"The option `{name}` needs a `{column}` column, which the interactions do not have. "
                f"If the column has another name, give it (`--column {column}=NAME`, or `columns` in "
                "the request).",
                code="filter_not_possible",
                errors=[FieldError(f"data.{name}", f"there is no `{column}` column")],
            )
    return found


def _note_left_out(
    cells: pa.Array, values: OrderValues, column: str, findings: FileFindings
) -> None:
    """Count the cells that are neither empty nor numbers; both count as position 0."""
    if not values.valid.all():
        ignored = int((~values.valid & ~is_blank(as_text(cells))).sum())
        if ignored:
            findings.left_out[column, "not numbers"] += ignored


class _Checks:
    """Holds the reason for which each row of a batch is rejected; the first reason counts."""

    def __init__(self, batch: Batch, columns: Mapping[Column, str]) -> None:
        self._batch = batch
        self._columns = columns
        self._found: list[tuple[str, str]] = []
        self._reason = np.zeros(len(batch.rows), np.int8)
        self.missing: Counter[str] = Counter()
        """The number of rejected rows by the column whose value is marked as missing."""

    @property
    def accepted(self) -> npt.NDArray[np.bool_]:
        accepted: npt.NDArray[np.bool_] = self._reason == 0
        return accepted

    def column(self, column: Column) -> pa.Array:
        return self._batch.columns[self._columns[column]]

    def ids(self, column: Column, limits: Limits) -> pa.Array:
        ids = as_text(self.column(column))
        blank = is_blank(ids)
        if blank.any():
            self.reject(blank & self._blank(), column, "blank_row")
            self.reject(blank, column, f"empty_{column}")
        self.reject(longer_than(ids, limits.cell_bytes), column, "cell_too_long")
        self.reject(holds_nul(ids), column, "invalid_text")
        return ids

    def reject(self, where: npt.NDArray[np.bool_], column: Column, reason: str) -> None:
        if not where.any():
            return
        name, rejected = self._columns[column], where & (self._reason == 0)
        self._found.append((name, reason))
        self._reason[rejected] = len(self._found)
        if reason != "blank_row":
            missing = rejected & is_missing(self.column(column))
            self.missing += Counter({name: int(missing.sum())})

    def _blank(self) -> Bool:
        """[n] whether all cells that are read are empty."""
        cells = [as_text(self._batch.columns[name]) for name in self._columns.values()]
        blank: Bool = np.logical_and.reduce([is_blank(text) for text in cells])
        return blank

    def rejected(self) -> tuple[list[BadRow], Counter[str]]:
        """Return the first rejected rows, and the number of rejected rows by reason."""
        counts = Counter(row.reason for row in self._batch.bad)
        for number, (_, reason) in enumerate(self._found, 1):
            count = int((self._reason == number).sum())
            if count:
                counts[reason] += count
        first = [
            BadRow(int(self._batch.rows[at]), *self._found[self._reason[at] - 1])
            for at in np.flatnonzero(self._reason)[:SHOWN]
        ]
        return sorted([*first, *self._batch.bad], key=lambda row: row.row)[:SHOWN], counts


def _split_codes(text: pa.Array) -> Int8:
    encoded = text.dictionary_encode()
    names = encoded.dictionary.to_pylist()
    codes = np.array([SPLIT_NAMES.get(name.strip().lower(), -1) for name in names] + [-1], np.int8)
    result: Int8 = codes[pc.fill_null(encoded.indices, len(names)).to_numpy(zero_copy_only=False)]
    return result


def _assembled(collected: _Collected) -> Interactions:
    user_ids, users = _unified(collected.users)
    item_ids, items = _unified(collected.items)
    order = {name: np.concatenate(parts) for name, parts in collected.order.items()}
    return Interactions(
        user_ids=user_ids,
        item_ids=item_ids,
        users=users,
        items=items,
        order={name: values for name, values in order.items() if values.any()},
        times=np.concatenate(collected.times) if collected.times else None,
        splits=np.concatenate(collected.splits) if collected.splits else None,
        rows=np.concatenate(collected.rows),
        ratings=np.concatenate(collected.ratings) if collected.ratings else None,
    )


def _unified(parts: list[pa.Array]) -> tuple[pa.Array, Int32]:
    """Merge the dictionaries of all batches, in the order of first appearance."""
    chunks = pa.chunked_array(parts).unify_dictionaries()
    indices = [chunk.indices.to_numpy() for chunk in chunks.chunks]
    return chunks.chunk(0).dictionary, np.concatenate(indices).astype(np.int32)
