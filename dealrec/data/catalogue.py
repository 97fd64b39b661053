"""The items file: ids, titles and further texts."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.config import Column, DataOptions
from dealrec.config.data import AS_THEY_ARE
from dealrec.data.findings import FileFindings
from dealrec.data.identifiers import example_pair, normalised
from dealrec.data.limits import Limits
from dealrec.data.tables import BadRow, TableReader, counted_batches
from dealrec.data.titles import without_html
from dealrec.data.values import as_text, clean_title, holds_nul, is_blank, longer_than
from dealrec.errors import FieldError, InputError


@dataclass(frozen=True)
class Catalogue:
    """``M`` distinct items."""

    item_ids: pa.Array
    titles: pa.Array
    """[M] text, null where an item has no title."""
    texts: Mapping[str, pa.Array]
    """Every other column by name, each [M] text, null where empty."""

    def where(self, kept: pa.Array) -> "Catalogue":
        """Restrict to the items in the mask ``kept`` [M]."""
        texts = {name: text.filter(kept) for name, text in self.texts.items()}
        return Catalogue(self.item_ids.filter(kept), self.titles.filter(kept), texts)


def read_catalogue(
    table: TableReader,
    columns: Mapping[Column, str],
    findings: FileFindings,
    limits: Limits,
    options: DataOptions = AS_THEY_ARE,
) -> Catalogue:
    """Read and check the whole file; of several rows of an item the first one with a title counts.

    Rejected rows are added to ``findings``.

    Raises:
        InputError: No row can be used, or the file is over one of the ``limits``.
    """
    id_column, title_column = columns[Column.ITEM_ID], columns[Column.TITLE]
    parts: list[pa.Table] = []
    rows = []
    needed = list(dict.fromkeys([id_column, title_column]))
    for batch in counted_batches(table, needed, limits, others=True):
        texts = {name: as_text(column) for name, column in batch.columns.items()}
        if options.normalise_ids:
            texts[id_column] = normalised(texts[id_column])
        bad = _check(texts, id_column, title_column, limits)
        findings.reject(batch.bad)
        findings.reject(
            BadRow(int(batch.rows[at]), *bad[reason - 1][1:])
            for at, reason in enumerate(_first(bad, len(batch.rows)))
            if reason
        )
        keep = _first(bad, len(batch.rows)) == 0
        cleaned = {
            name: text
            if name == id_column
            else clean_title(text if name in needed else _usable(name, text, limits, findings))
            for name, text in texts.items()
        }
        if options.clean_titles and title_column != id_column:
            cleaned[title_column] = findings.clean(without_html(cleaned[title_column]))
        parts.append(pa.table(cleaned).filter(pa.array(keep)))
        rows.append(batch.rows[keep])
    merged = pa.concat_tables(parts, promote_options="default").combine_chunks() if parts else None
    if merged is not None and merged.num_rows:
        merged = _distinct(merged, np.concatenate(rows), id_column, title_column, findings)
        findings.accepted = merged.num_rows
    findings.require_rows()
    assert merged is not None
    texts = {name: merged[name].combine_chunks() for name in merged.column_names}
    others = {name: text for name, text in texts.items() if name not in needed}
    return Catalogue(texts[id_column], texts[title_column], others)


Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]


def _check(
    texts: Mapping[str, pa.Array], id_column: str, title_column: str, limits: Limits
) -> list[tuple[Mask, str, str]]:
    blank = is_blank(texts[id_column])
    whole = blank & np.all([is_blank(text) for text in texts.values()], 0) if blank.any() else blank
    return [
        (whole, id_column, "blank_row"),
        (blank, id_column, "empty_item_id"),
        *((holds_nul(texts[name]), name, "invalid_text") for name in (id_column, title_column)),
        *(
            (longer_than(texts[name], limits.cell_bytes), name, "cell_too_long")
            for name in (id_column, title_column)
        ),
    ]


def _usable(name: str, text: pa.Array, limits: Limits, findings: FileFindings) -> pa.Array:
    """Leave out cells that cannot be used."""
    for where, why in (
        (longer_than(text, limits.cell_bytes), "too long"),
        (holds_nul(text), "not text in the file's encoding"),
    ):
        if where.any():
            findings.left_out[name, why] += int(where.sum())
            text = pc.if_else(pa.array(where), None, text)
    return text


def _first(
    bad: list[tuple[Mask, str, str]], length: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """[n] 1 + the index of the first check in ``bad`` that a row fails, 0 where it fails none."""
    reason = np.zeros(length, np.int64)
    for number, (where, _, _) in enumerate(bad, 1):
        reason[where & (reason == 0)] = number
    return reason


def _distinct(
    table: pa.Table, rows: np.ndarray, id_column: str, title_column: str, findings: FileFindings
) -> pa.Table:
    """Keep one row of each item: the first one with a title, or else the first one."""
    indices = table[id_column].combine_chunks().dictionary_encode().indices.to_numpy()
    _, kept = np.unique(indices, return_index=True)
    if len(kept) == len(indices):
        return table
    titled = np.flatnonzero(table[title_column].is_valid().to_numpy())
    items, first = np.unique(indices[titled], return_index=True)
    kept[items] = titled[first]
    again = np.ones(len(indices), bool)
    again[kept] = False
    repeated = [BadRow(int(row), id_column, "duplicate_item") for row in rows[again][:100]]
    findings.reject(repeated, Counter(duplicate_item=int(again.sum())))
    return table.filter(pa.array(~again))


def following(first: Catalogue, second: Catalogue) -> Catalogue:
    """Join two catalogues; of an item's two rows the first one with a title counts, or else the first."""
    at = pc.index_in(second.item_ids, value_set=first.item_ids)
    known = at.is_valid().to_numpy(zero_copy_only=False)
    lacking = pc.and_(
        pc.fill_null(first.titles.is_null().take(at), False), second.titles.is_valid()
    )
    better = lacking.to_numpy(zero_copy_only=False)
    count = len(first.item_ids)
    rows = np.concatenate([np.arange(count), count + np.flatnonzero(~known)])
    rows[pc.fill_null(at, 0).to_numpy()[better]] = count + np.flatnonzero(better)

    def merged(one: pa.Array | None, other: pa.Array | None) -> pa.Array:
        parts = (
            pa.nulls(len(ids), pa.string()) if text is None else text.cast(pa.string())
            for text, ids in ((one, first.item_ids), (other, second.item_ids))
        )
        return pa.concat_arrays(list(parts)).take(pa.array(rows))

    names = dict.fromkeys([*first.texts, *second.texts])
    return Catalogue(
        merged(first.item_ids, second.item_ids),
        merged(first.titles, second.titles),
        {name: merged(first.texts.get(name), second.texts.get(name)) for name in names},
    )


def join_catalogue(
    used: pa.Array,
    catalogue: Catalogue | None,
    where: str,
    files: tuple[str, str],
) -> tuple[Catalogue, int]:
    """Join the used items with the catalogue.

    Args:
        used: Distinct ids of the items that interactions use.
        catalogue: The items file, if there is one.
        where: Says which columns the ids come from, where they do not meet.
        files: The names of the file of interactions and of the items file.

    Returns:
        All items in the order of the bytes of their ids, and the number of used items that the
        catalogue has.

    Raises:
        InputError: ``items_do_not_match`` when the catalogue has none of the used items.
    """
    if catalogue is None:
        used = used.take(pc.array_sort_indices(used))
        return Catalogue(used, pa.nulls(len(used), pa.string()), {}), 0
    known = pc.sum(pc.is_in(used, value_set=catalogue.item_ids)).as_py()
    if not known:
        raise _no_match(used, catalogue.item_ids, where, files)
    every = pa.concat_arrays([used, catalogue.item_ids]).unique()
    every = every.take(pc.array_sort_indices(every))
    at = pc.index_in(every, value_set=catalogue.item_ids)
    texts = {name: text.take(at) for name, text in catalogue.texts.items()}
    return Catalogue(every, catalogue.titles.take(at), texts), known


def _no_match(used: pa.Array, known: pa.Array, where: str, files: tuple[str, str]) -> InputError:
    pair = example_pair(used, known)
    detail = f"{files[1]} has none of the items of the interactions in {files[0]}. "
    if pair is None:
        ids = f"Its first id is `{known[0]}`, and the first id of the interactions is `{used[0]}`."
        detail += f"{ids} {where}"
    else:
        detail += (
            f"It has `{pair[1]}`, but the interactions have `{pair[0]}`: `--set "
            "data.normalise_ids=true` (or `normalise_ids` in the request) makes such ids equal."
        )
    errors = [FieldError(files[1], "has none of the items of the interactions")]
    return InputError(detail.strip(), code="items_do_not_match", errors=errors)
