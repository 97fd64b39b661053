"""Signs that files do not say what their authors meant; each is a warning, and nothing is changed."""

import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.config import Column, SplitMethod
from dealrec.config.wording import counted
from dealrec.data.catalogue import Catalogue
from dealrec.data.dataset import Int32, Int64
from dealrec.data.findings import DataWarning, warning
from dealrec.data.identifiers import (
    example_pair,
    normalised,
    one_form,
    without_zeros,
    written_twice,
)
from dealrec.data.interactions import Interactions
from dealrec.data.sequences import Sequences
from dealrec.data.splits import time_cuts
from dealrec.data.times import LEAST, magnitudes
from dealrec.data.titles import HTML

_MISSING = (
    r"^(?i:-?nan|nat|[(\[]?(null|none|not set|empty|blank)[)\]]?|nil|undefined|na|n/a|<na>|\\n"
    r"|#(n/a|null!|ref!|value!|name\?|num!|div/0!))$"
)
"""The words that programs write for a missing value."""
_NO_ID = rf"{_MISSING}|^(?i:-{{1,3}}|[?]{{1,3}}|[.]|unknown|missing|anonymous|not available)$"
"""Those and words that may be titles, but stand for nobody and nothing where an id is expected."""
_ROUNDED = r"^[+-]?\d([.,]\d+)?[eE]\+\d+$"
_SINGLE = 24
"""The binary digits that a floating-point number of 32 bits holds."""
_ROUNDING = 10_000
"""Seconds that lie between times of which a spreadsheet keeps six digits."""
_MOST, _MANY = 0.9, 0.05
"""The shares of rounded times, and of interactions at the very ends of training and validation, from
which on they are told of."""


def odd_interactions(
    file: str,
    whole: str,
    columns: Mapping[Column, str],
    raw: Interactions,
    times: Int64 | None,
    sequences: Sequences,
    method: SplitMethod,
) -> Iterator[DataWarning]:
    """Look at the ids in ``file``, and at the times of all interactions, those of earlier versions too.

    ``whole`` says where all interactions are.
    """
    for column, ids, indices in (
        (Column.USER_ID, raw.user_ids, raw.users),
        (Column.ITEM_ID, raw.item_ids, raw.items),
    ):
        yield from _odd_ids(file, columns[column], ids, indices)
    if times is not None:
        yield from _odd_times(whole, times)
        if method is SplitMethod.GLOBAL_TIME:
            yield from _split_ties(whole, times)
    if sequences.tied > len(sequences.items) / 2:
        yield warning(
            "tied_interactions",
            sequences.tied,
            f"{sequences.tied:,} of {len(sequences.items):,} interactions in {whole} have the same time as "
            "another one of the same user, so their order is decided by hashes of the items' ids. Give "
            "more precise times, or add a `position` column.",
        )


def is_rounded(value: str) -> bool:
    """Whether an id is a number of which some digits are lost, such as ``4.71009E+12``."""
    return re.match(_ROUNDED, value) is not None


def odd_items(
    file: str, columns: Mapping[Column, str], catalogue: Catalogue
) -> Iterator[DataWarning]:
    """Look at ids and titles of the items in ``file``."""
    yield from _odd_ids(
        file,
        columns[Column.ITEM_ID],
        catalogue.item_ids,
        np.arange(len(catalogue.item_ids), dtype=np.int32),
    )
    titles = catalogue.titles.drop_null()
    missing = titles.filter(pc.match_substring_regex(titles, _MISSING))
    if len(missing):
        yield _missing(file, columns[Column.TITLE], missing.unique(), len(missing), "a title")
    html = titles.filter(pc.match_substring_regex(titles, HTML))
    if len(html):
        found = re.search(HTML, html[0].as_py())
        example = f", such as `{found[0][:40]}`" if found else ""
        yield warning(
            "html_in_titles",
            len(html),
            f"HTML was found in {counted(len(html), 'title')} in {file}{example}. The language model would "
            "read it as it is. `--set data.clean_titles=true` removes it.",
        )


def unknown_items(used: pa.Array, known: pa.Array) -> DataWarning:
    """Warn of the ``used`` items that are not among the ``known`` ones of the items file."""
    missing = used.filter(pc.invert(pc.is_in(used, value_set=known)))
    told = (
        f"The items file does not have {counted(len(missing), 'item')} of the interactions, such as "
        f"`{missing[0]}`."
    )
    pair = example_pair(missing, known)
    if pair is not None:
        told += (
            f" It has `{pair[1]}`, but the interactions have `{pair[0]}`: "
            "`--set data.normalise_ids=true` makes such ids equal."
        )
    return warning("items_not_in_items_file", len(missing), told)


def _odd_ids(file: str, column: str, ids: pa.Array, indices: Int32) -> Iterator[DataWarning]:
    missing = pc.match_substring_regex(ids, _NO_ID)
    if rows := _rows(missing, indices):
        yield _missing(file, column, ids.filter(missing), rows, "an id")
    rounded = pc.match_substring_regex(ids, _ROUNDED)
    if rows := _rows(rounded, indices):
        yield warning(
            "rounded_ids",
            rows,
            f"In {counted(rows, 'row')} of {file}, `{column}` is a rounded number, such as "
            f"`{ids.filter(rounded)[0]}`. A spreadsheet, or a column of floating-point numbers, has made "
            "different ids equal. Export the ids again, as text.",
        )
    yield from _written_twice(file, column, ids)


def _written_twice(file: str, column: str, ids: pa.Array) -> Iterator[DataWarning]:
    """Look for ids that differ in what programs change: spaces, the ``.0`` of numbers, zeros, code points."""
    ways = (
        (normalised, "`--set data.normalise_ids=true` makes such ids equal."),
        (without_zeros, "If they mean the same, export the ids again, as text."),
        (
            one_form,
            "They look alike, but their code points differ. If they mean the same, write one form.",
        ),
    )
    for mend, way in ways:
        found = written_twice(ids, mend)
        if len(found):
            yield warning(
                "ids_written_twice",
                len(found),
                f"{len(found):,} ids in `{column}` of {file} are different spellings of one id, such "
                f"as `{found[0]}` and `{found[1]}`, but count as different ids. {way}",
            )
            return


def _rows(which: pa.Array, indices: Int32) -> int:
    """The number of rows with one of the ids that the mask ``which`` marks."""
    if not pc.any(which).as_py():
        return 0
    return int(which.to_numpy(zero_copy_only=False)[indices].sum())


def _missing(file: str, column: str, values: pa.Array, rows: int, what: str) -> DataWarning:
    named = ", ".join(f"`{value}`" for value in values.to_pylist()[:5])
    return warning(
        "missing_as_text",
        rows,
        f"In {counted(rows, 'row')} of {file}, `{column}` is {named}, which is read as {what}. If it means "
        "that the value is missing, set "
        f"`--set data.format.null_values={','.join(values.to_pylist()[:5])}` "
        "(`item_format` for an items file).",
    )


def _odd_times(file: str, times: Int64) -> Iterator[DataWarning]:
    units = magnitudes(times)
    counts = np.bincount(units, minlength=len(LEAST) + 1)
    unit = int(counts[1:].argmax()) + 1
    if counts[0] >= len(times) / 2:  # counts of another kind: places in a sequence, years
        return
    second = 1000.0 ** (unit - 1)
    early = times <= 0
    if early.any():
        yield warning(
            "implausible_times",
            int(early.sum()),
            f"{counted(int(early.sum()), 'timestamp')} in {file} not after 1970, such as "
            f"{_shown(times[early][0], second)}, will sort before all others. Remove rows whose time is "
            "unknown.",
        )
    other = (units != unit) & ~early
    if other.any():
        yield warning(
            "mixed_time_units",
            int(other.sum()),
            f"The unit of {counted(int(other.sum()), 'timestamp')} in {file}, such as "
            f"{times[other][0]}, differs from that of the others, such as {times[units == unit][0]}. "
            "Write all timestamps in the same unit, such as seconds.",
        )
    step = 2 ** max(int(np.abs(times).max()).bit_length() - _SINGLE, 0)
    single = times % step == 0
    differ = times.min() < times.max()
    shortened = step > 1 and differ and single.mean() > _MOST
    if shortened and (times % int(60 * second) == 0).mean() < _MOST:
        yield warning(
            "rounded_times",
            int(single.sum()),
            f"{single.sum():,} timestamps in {file} are multiples of {step:,}, such as "
            f"{_shown(times[single][0], second)}. They have lost digits in a column of 32-bit floating-point "
            "numbers. Write them as whole numbers or with 64 bits.",
        )
        return
    rounded = times % int(_ROUNDING * second) == 0
    if rounded.mean() > _MOST and differ:
        yield warning(
            "rounded_times",
            int(rounded.sum()),
            f"{rounded.sum():,} timestamps in {file} are rounded to {_ROUNDING:,} seconds, such as "
            f"{_shown(times[rounded][0], second)}. A spreadsheet may have rounded them. Export them again "
            "with all digits.",
        )
    late = (times > (time.time() + 86_400) * second) & (units == unit)
    if late.any():
        yield warning(
            "future_times",
            int(late.sum()),
            f"{counted(int(late.sum()), 'timestamp')} in {file} in the future, such as "
            f"{_shown(times[late][0], second)}, will sort after all others. Remove rows whose time is "
            "unknown.",
        )


def _shown(moment: np.int64, second: float) -> str:
    try:
        date = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=float(moment) / second)
    except OverflowError:
        return str(moment)
    return f"{moment} ({date:%Y-%m-%d})"


def _split_ties(file: str, times: Int64) -> Iterator[DataWarning]:
    """Look for times that the ends of training and validation cut into two."""
    ends = time_cuts(len(times))
    ordered = np.partition(times, ends)
    cut = {int(ordered[end]) for end in ends if end and ordered[:end].max() == ordered[end]}
    tied = int(np.isin(times, list(cut)).sum()) if cut else 0
    if tied > len(times) * _MANY:
        who = f"{tied:,} of {len(times):,} interactions in {file} have exactly the time at which"
        if tied == len(times):
            who = f"All {tied:,} interactions in {file} have exactly the time at which"
        yield warning(
            "tied_split",
            tied,
            f"{who} training or validation ends, so hashes of user and item decide to which split they "
            "belong. Give more precise times, or use another split (`--split leave_one_out`, or `split` "
            "in the request).",
        )
