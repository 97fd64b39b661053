"""Ids: their numbering by content, and ids that programs have changed."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.data.dataset import Int32

_FEW = 0.02
"""The share of ids that may stand out of order and are put in one by one."""
_WHOLE_FLOAT = r"^([+-]?\d+)\.0+$"
_FORMULA = r'^="(.*)"$'
"""How a text is written for spreadsheets, which else would make a number of it."""


def numbered(ids: pa.Array, indices: Int32) -> tuple[pa.Array, Int32]:
    """Number the ids that are used in the order of their bytes.

    Args:
        ids: Distinct texts.
        indices: [N] places in ``ids``.

    Returns:
        The used ids in order, and [N] the places of the same ids among them.
    """
    used = np.flatnonzero(np.bincount(indices, minlength=len(ids)))
    kept = ids.take(pa.array(used))
    order = _sorted(kept)
    numbers = np.empty(len(ids), np.int32)
    numbers[used[order]] = np.arange(len(used), dtype=np.int32)
    return kept.take(pa.array(order)), numbers[indices]


def _sorted(ids: pa.Array) -> npt.NDArray[np.int64]:
    """The places of distinct ids in the order of their bytes.

    Where most of them stand in order already, as those of an earlier version do, the others are sorted and
    put between them.
    """
    count = len(ids)
    falls = np.flatnonzero(
        pc.greater(ids.slice(0, max(count - 1, 0)), ids.slice(1)).to_numpy(False)
    )
    first = int(falls[0]) + 1 if len(falls) else count
    if count - first > count * _FEW:
        return np.asarray(pc.array_sort_indices(ids), np.int64)
    known = _Texts(ids, first)
    rest = first + pc.array_sort_indices(ids.slice(first)).to_numpy().astype(np.int64)
    at = [bisect_left(known, ids[int(place)].as_py()) for place in rest]
    return np.insert(np.arange(first, dtype=np.int64), at, rest)


class _Texts(Sequence[str]):
    """The first ``count`` of some ids, as texts that are made when they are looked at."""

    def __init__(self, ids: pa.Array, count: int) -> None:
        self._ids, self._count = ids, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: Any) -> Any:
        return self._ids[place].as_py()


def normalised(ids: pa.Array) -> pa.Array:
    """Remove spaces around ids, the ``.0`` of numbers that became floats, and the ``=""`` of spreadsheets.

    Ids that are mended already stay as they are.

    Examples:
        >>> normalised(pa.array([" 12.0", "007", "1.50", '="007"', '=" 5"'])).to_pylist()
        ['12', '007', '1.50', '007', '5']
    """
    while True:
        text = pc.replace_substring_regex(pc.utf8_trim_whitespace(ids), _FORMULA, r"\1")
        text = pc.replace_substring_regex(text, _WHOLE_FLOAT, r"\1")
        if text.equals(ids):
            return text
        ids = text


def written_twice(ids: pa.Array, mend: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """The distinct ``ids`` that are the same as others after mending, in the order of the mended ones."""
    mended = mend(ids)
    if not pc.any(pc.not_equal(mended, ids)).as_py():
        return ids.slice(0, 0)
    counts = pc.value_counts(mended)
    several = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    found = pc.is_in(mended, value_set=several)
    return ids.filter(found).take(pc.array_sort_indices(mended.filter(found)))


def merged(ids: pa.Array, indices: Int32) -> tuple[pa.Array, Int32]:
    """Make ids distinct that have become equal; ``indices`` [N] are places in ``ids``."""
    encoded = ids.dictionary_encode()
    return encoded.dictionary, encoded.indices.to_numpy().astype(np.int32)[indices]


def with_zeros(ids: pa.Array, known: pa.Array) -> pa.Array:
    """Give ids that are not ``known`` the leading zeros of the one known id that is else the same.

    An id stays as it is where several known ids differ in their zeros alone. The other ``ids`` do not
    matter, so that rows that are read later change nothing.
    """
    short, bare = without_zeros(known), without_zeros(ids)
    missing = pc.invert(pc.is_in(ids, value_set=known))
    safe = pc.and_(missing, pc.is_in(bare, value_set=_once(short)))
    return pc.if_else(safe, known.take(pc.index_in(bare, value_set=short)), ids)


def example_pair(ours: pa.Array, theirs: pa.Array) -> tuple[str, str] | None:
    """Find an id of each side that would be the same after mending, if there is one."""
    for mended, known in (
        (normalised(ours), normalised(theirs)),
        (without_zeros(normalised(ours)), without_zeros(normalised(theirs))),
    ):
        at = pc.index_in(mended, value_set=known)
        differ = pc.fill_null(pc.not_equal(ours, theirs.take(at)), False)
        places: Sequence[int] = pc.indices_nonzero(differ).to_pylist()[:1]
        if places:
            return ours[places[0]].as_py(), theirs[at[places[0]].as_py()].as_py()
    return None


def without_zeros(ids: pa.Array) -> pa.Array:
    """The ids without leading zeros."""
    return pc.replace_substring_regex(ids, r"^0+(\d)", r"\1")


def one_form(ids: pa.Array) -> pa.Array:
    """The ids in one of the forms in which Unicode writes a text: ``é`` has two, and ``Ａ`` is ``A``."""
    if pc.all(pc.string_is_ascii(ids)).as_py():
        return ids
    return pc.utf8_normalize(ids, form="NFKC")


def _once(values: pa.Array) -> pa.Array:
    counts = pc.value_counts(values)
    return counts.field("values").filter(pc.equal(counts.field("counts"), 1))
