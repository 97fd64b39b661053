"""Tables whose cells hold several items: a history or a basket in each row becomes a row for each item."""

from array import array
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.config import Column
from dealrec.data.dates import CellForm
from dealrec.data.tables import BadRow, Batch, Bool, Int64, TableReader
from dealrec.data.values import as_order, as_text

PLACE = "(place in the list)"
"""The name of the column with the place of an item in its list."""
_AROUND = r"^\s*(?:array|list|tuple|set)?[\[\(\{\s]+|[\]\}\s]+, ?dtype=.*$|[\]\)\}\s]+$"
"""What programs print around the values of a list."""
_LEFT_OUT = "..."
"""What NumPy and pandas print in place of values in the middle."""
_TARGET = "item_id"
"""The column of RecBole's sequential files that holds the item after the list."""
_MIND_TIMES = CellForm(date_format="%m/%d/%Y %I:%M:%S %p")


class Histories:
    """Makes a row of each item in the lists of a column.

    Where rows have no time, several rows of a user are pieces of one history: those that sequential models
    are trained on repeat what came before. Each piece adds what the pieces before it lack.
    """

    def __init__(
        self, table: TableReader, columns: Mapping[Column, str], separator: str | None
    ) -> None:
        self.name = table.name
        self.lists: Mapping[str, str | None] = {}
        self._table = table
        self._columns = dict(columns)
        self._separator = separator
        self._item = columns[Column.ITEM_ID]
        self._target = _TARGET if self._item != _TARGET and _TARGET in table.column_names else None
        self._merges = Column.TIMESTAMP not in columns
        self._lines = 0
        self.column_names = [*table.column_names, PLACE]

    def shaped(self) -> tuple[TableReader, dict[Column, str]]:
        """This table, and our columns in it."""
        return self, {**self._columns, Column.POSITION: PLACE}

    def has(self, name: str) -> bool:
        """See :meth:`dealrec.data.tables.TableReader.has`."""
        return name == PLACE or self._table.has(name)

    def notes(self) -> list[str]:
        """See :meth:`dealrec.data.tables.TableReader.notes`."""
        target = f", with `{self._target}` as the last one" if self._target else ""
        note = f"{self._lines:,} rows hold lists in `{self._item}`{target}; each item became a row"
        return [*self._table.notes(), note]

    def batches(self, columns: Sequence[str], *, others: bool = False) -> Iterator[Batch]:
        """See :meth:`dealrec.data.tables.TableReader.batches`."""
        assert not others
        self._lines = 0
        exploded = self._exploded([name for name in columns if name != PLACE])
        return _merged(exploded, self._columns) if self._merges else exploded

    def _exploded(self, columns: Sequence[str]) -> Iterator[Batch]:
        wanted = list(dict.fromkeys([*columns, *([self._target] if self._target else [])]))
        for batch in self._table.batches(wanted):
            self._lines += len(batch.rows)
            yield self._explode(batch, columns)

    def _explode(self, batch: Batch, columns: Sequence[str]) -> Batch:
        lists = {
            name: as_lists(batch.columns[name], self._table.lists.get(name, self._separator))
            for name in columns
            if name == self._item or name in self._table.lists
        }
        items = lists[self._item]
        if self._target:
            items = _appended(items, as_text(batch.columns[self._target]))
            lists[self._item] = items
        lengths = _lengths(items)
        unequal = np.zeros(len(lengths), bool)
        for name, cells in lists.items():
            extra = 1 if self._target and name != self._item else 0
            unequal |= _lengths(cells) + extra != lengths
        bad = [BadRow(int(row), self._item, "unequal_lists") for row in batch.rows[unequal]]
        empty = (lengths == 0) & ~unequal
        bad += [BadRow(int(row), self._item, "empty_item_id") for row in batch.rows[empty]]
        cut = _holds(items, _LEFT_OUT) & ~unequal & ~empty
        bad += [BadRow(int(row), self._item, "cut_list") for row in batch.rows[cut]]
        good = ~(unequal | empty | cut)
        keep, rows, lengths = pa.array(good), batch.rows[good], lengths[good]
        parents = pa.array(np.repeat(np.arange(len(rows)), lengths))
        cells = {
            name: lists[name].filter(keep).flatten()
            if name in lists
            else batch.columns[name].filter(keep).take(parents)
            for name in columns
        }
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        places = np.arange(int(lengths.sum())) - starts
        return Batch(
            {**cells, PLACE: pa.array(places)}, np.repeat(rows, lengths), [*batch.bad, *bad]
        )


def as_lists(column: pa.Array, separator: str | None) -> pa.Array:
    """[n] lists of text, from a column of lists or from text with a separator between values."""
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        column = (
            column.cast(pa.large_list(kind.value_type))
            if not pa.types.is_large_list(kind)
            else column
        )
        filled = pc.fill_null(column, pa.scalar([], column.type))
        return pa.LargeListArray.from_arrays(filled.offsets, as_text(filled.values))
    text = pc.fill_null(as_text(column), "")
    text = pc.replace_substring_regex(text, _AROUND, "")
    spaced = separator in (None, " ")
    split = pc.utf8_split_whitespace(text) if spaced else pc.split_pattern(text, separator)
    split = split.cast(pa.large_list(pa.string()))
    values = pc.utf8_trim(split.values, " '\"\n\t")
    return _without_empty(split.offsets, values)


def _without_empty(offsets: pa.Array, values: pa.Array) -> pa.Array:
    filled = pc.not_equal(values, "").to_numpy(zero_copy_only=False)
    kept = np.concatenate([[0], np.cumsum(filled)])
    bounds = kept[offsets.to_numpy()]
    return pa.LargeListArray.from_arrays(
        pa.array(bounds, pa.int64()), values.filter(pa.array(filled))
    )


def _holds(lists: pa.Array, value: str) -> Bool:
    """[n] whether a list has a value."""
    places = pc.indices_nonzero(pc.fill_null(pc.equal(lists.flatten(), value), False))
    found: Bool = np.zeros(len(lists), bool)
    if len(places):
        found[pc.list_parent_indices(lists).take(places).to_numpy()] = True
    return found


def _lengths(lists: pa.Array) -> Int64:
    lengths: Int64 = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return lengths.astype(np.int64)


def _appended(lists: pa.Array, last: pa.Array) -> pa.Array:
    """The lists, each with one more value."""
    lengths = _lengths(lists)
    ends = np.cumsum(lengths + 1)
    order = np.empty(int(ends[-1]) if len(ends) else 0, np.int64)
    own = np.ones(len(order), bool)
    own[ends - 1] = False
    order[own] = np.arange(int(lengths.sum()))
    order[ends - 1] = int(lengths.sum()) + np.arange(len(last))
    values = pa.concat_arrays([lists.flatten(), last])
    bounds = pa.array(np.concatenate([[0], ends]), pa.int64())
    return pa.LargeListArray.from_arrays(bounds, values.take(pa.array(order)))


def _overlap(history: "array[int]", piece: "array[int]") -> int:
    """The number of items that ``piece`` begins with and that ``history`` holds, at its end or beginning."""
    if piece[: len(history)] == history:
        return len(history)
    if history[: len(piece)] == piece:
        return len(piece)
    failures, matched = (
        array("q", [0]),
        0,
    )  # Knuth, Morris and Pratt: no pair of places is compared twice
    for value in piece[1:]:
        while matched and piece[matched] != value:
            matched = failures[matched - 1]
        matched += piece[matched] == value
        failures.append(matched)
    matched = 0
    for value in history[-len(piece) :]:
        while matched and (matched == len(piece) or piece[matched] != value):
            matched = failures[matched - 1]
        matched += piece[matched] == value
    return matched


def _merged(batches: Iterator[Batch], columns: Mapping[Column, str]) -> Iterator[Batch]:
    """Put the pieces of each user's history together, and number the items in it."""
    user, item, split = columns[Column.USER_ID], columns[Column.ITEM_ID], columns.get(Column.SPLIT)
    names = [name for name in (user, item, split) if name]
    codes: dict[str | None, int] = {}
    histories: dict[str | None, array[int]] = {}
    for batch in batches:
        keep = np.zeros(len(batch.rows), bool)
        places = np.zeros(len(batch.rows), np.int64)
        bounds = np.flatnonzero(pc.equal(batch.columns[PLACE], 0).to_numpy(zero_copy_only=False))
        owners = as_text(batch.columns[user]).take(pa.array(bounds)).to_pylist()
        found = array(
            "q", [codes.setdefault(i, len(codes)) for i in batch.columns[item].to_pylist()]
        )
        ends = [*bounds.tolist(), len(found)][1:]
        for owner, start, end in zip(owners, bounds.tolist(), ends, strict=True):
            piece = found[start:end]
            history = histories.setdefault(owner, array("q"))
            known = _overlap(history, piece) if history and owner is not None else 0
            keep[start + known : end] = True
            places[start + known : end] = np.arange(len(history), len(history) + len(piece) - known)
            history.extend(piece[known:])
        mask = pa.array(keep)
        cells = {name: batch.columns[name].filter(mask) for name in names}
        yield Batch({**cells, PLACE: pa.array(places[keep])}, batch.rows[keep], batch.bad)


class MindHistories:
    """Makes rows of MIND's impressions: a user's history, once, and then what was clicked in each of them."""

    def __init__(self, table: TableReader, columns: Mapping[Column, str], clicks: str) -> None:
        self.name = table.name
        self.lists: Mapping[str, str | None] = {}
        self._table = table
        self._columns = dict(columns)
        self._clicks = clicks
        self._lines = self._empty = 0
        self.column_names = [*table.column_names, PLACE]

    def shaped(self) -> tuple[TableReader, dict[Column, str]]:
        """This table, and our columns in it; items of a history have no time, so a place is their order."""
        columns = {**self._columns, Column.POSITION: PLACE}
        del columns[Column.TIMESTAMP]
        return self, columns

    def has(self, name: str) -> bool:
        """See :meth:`dealrec.data.tables.TableReader.has`."""
        return name == PLACE or self._table.has(name)

    def notes(self) -> list[str]:
        """See :meth:`dealrec.data.tables.TableReader.notes`."""
        note = (
            f"{self._lines:,} rows are impressions: a user's history became rows once, and the clicked items "
            f"follow it; {self._empty:,} rows add nothing"
        )
        return [*self._table.notes(), note]

    def batches(self, columns: Sequence[str], *, others: bool = False) -> Iterator[Batch]:
        """See :meth:`dealrec.data.tables.TableReader.batches`."""
        assert not others and columns
        user, item = self._columns[Column.USER_ID], self._columns[Column.ITEM_ID]
        time = self._columns[Column.TIMESTAMP]
        self._lines = self._empty = 0
        seen: set[str | None] = set()
        for batch in self._table.batches([user, item, time, self._clicks]):
            times = as_order(batch.columns[time], dates=True, form=_MIND_TIMES)
            users = as_text(batch.columns[user]).to_pylist()
            histories = as_lists(batch.columns[item], " ").to_pylist()
            impressions = as_lists(batch.columns[self._clicks], " ").to_pylist()
            who: list[str | None] = []
            what: list[str] = []
            place: list[int] = []
            rows: list[int] = []
            bad = list(batch.bad)
            for at, owner in enumerate(users):
                row = int(batch.rows[at])
                clicked = [name[:-2] for name in impressions[at] if name.endswith("-1")]
                if clicked and not times.valid[at]:
                    bad.append(BadRow(row, time, "invalid_timestamp"))
                    clicked = []
                history = [] if owner in seen else histories[at]
                seen.add(owner)
                found = [*history, *clicked]
                self._empty += not found
                who += [owner] * len(found)
                what += found
                place += [*range(len(history)), *[int(times.whole[at])] * len(clicked)]
                rows += [row] * len(found)
            self._lines += len(users)
            yield Batch(
                {
                    user: pa.array(who, pa.string()),
                    item: pa.array(what, pa.string()),
                    PLACE: pa.array(place, pa.int64()),
                },
                np.array(rows, np.int64),
                bad,
            )
