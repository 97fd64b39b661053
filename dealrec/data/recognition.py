"""Recognises the named layouts by the cells of a file's first lines, or by the names of its columns."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import groupby

from dealrec.config import Column
from dealrec.config.formats import FileFormat
from dealrec.config.layouts import LAYOUTS, Layout, TableLayout
from dealrec.data.dialects import Dialect
from dealrec.data.synonyms import plain

INTERACTIONS, ITEMS = "interactions", "items"
_SAMPLED = 50
Match = tuple[Layout, TableLayout]


def forms(layout: Layout, role: str) -> tuple[TableLayout, ...]:
    """The forms of a layout's interactions, or of its items."""
    return layout.interactions if role == INTERACTIONS else layout.items


def matches_by_cells(
    dialect: Dialect, rows: Sequence[Sequence[str]], role: str, layout: Layout | None
) -> list[Match]:
    """The forms that the rows of a file without a header have; the layout's, if one is given."""
    rows = rows[:_SAMPLED]
    return _distinct(
        (entry, form)
        for entry, form in _all(role, layout)
        if form.cells and rows and _fits(form, dialect.separator, rows)
    )


def matches_by_names(names: Iterable[str], role: str, layout: Layout | None) -> list[Match]:
    """The forms whose names the columns have; those that know most of the names count."""
    known = {plain(name) for name in names}
    found = [
        (entry, form) for entry, form in _all(role, layout) if form.header and form.header <= known
    ]
    most = max((len(form.header) for _, form in found), default=0)
    return _distinct(match for match in found if len(match[1].header) == most)


def width_match(rows: Sequence[Sequence[str]], role: str, layout: Layout) -> TableLayout | None:
    """The form of a layout that was asked for, by the number of its columns alone."""
    width = Counter(map(len, rows)).most_common(1)[0][0] if rows else 0
    for form in forms(layout, role):
        names = form.format.names or ()
        if form.cells and (len(names) == width or form.format.rest):
            return form
    return None


def file_names(form: TableLayout, names: Sequence[str]) -> dict[Column, str]:
    """Our column names to those that the file has for the names of the form."""
    actual = {plain(name): name for name in reversed(names)}
    found = {ours: actual.get(plain(theirs)) for ours, theirs in form.columns.items()}
    return {ours: name for ours, name in found.items() if name is not None}


def completed(asked: FileFormat, form: FileFormat) -> FileFormat:
    """What is asked for, and beside it what the form of a layout says."""
    given = asked.model_dump(exclude_defaults=True)
    return FileFormat.model_validate({**form.model_dump(exclude_unset=True), **given})


def _all(role: str, layout: Layout | None) -> Iterator[Match]:
    for entry in LAYOUTS.values() if layout is None else (layout,):
        for form in forms(entry, role):
            yield entry, form


def _distinct(matches: Iterable[Match]) -> list[Match]:
    found: list[Match] = []
    for match in matches:
        same = (match[1].columns, match[1].format)
        if all((form.columns, form.format) != same for _, form in found):
            found.append(match)
    return found


def _fits(form: TableLayout, separator: str, rows: Sequence[Sequence[str]]) -> bool:
    if form.format.separator != separator:
        return False
    patterns = [_pattern(cell) for cell in form.cells]
    widths = {len(row) for row in rows}
    if form.ragged:
        users = [row[0] for row in rows]
        if len(widths) < 2 or len(set(users)) < len(users):
            return False
    elif form.format.rest:
        further = [cell for row in rows for cell in row[len(patterns) :]]
        if len(widths) == 1 and not all(cell.startswith(" ") for cell in further):
            return False
        rows = [
            [*row[: len(patterns) - 1], separator.join(row[len(patterns) - 1 :])] for row in rows
        ]
    elif len(widths) > 1:
        return False
    if min(map(len, rows)) < len(patterns) or (
        not form.ragged and max(map(len, rows)) > len(patterns) and not _may_repeat(form)
    ):
        return False
    if form.grouped and len({row[0] for row in rows}) < len(
        [user for user, _ in groupby(row[0] for row in rows)]
    ):
        return False
    return all(
        patterns[min(at, len(patterns) - 1)].fullmatch(cell)
        for row in rows
        for at, cell in enumerate(row)
    )


def _may_repeat(form: TableLayout) -> bool:
    return len(form.cells) > len(form.format.names or ())


@cache
def _pattern(cell: str) -> re.Pattern[str]:
    return re.compile(cell)
