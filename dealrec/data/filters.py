"""Filters of interactions and items, which are applied before samples are made."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.config import DataOptions
from dealrec.config.data import Repeats
from dealrec.config.wording import counted
from dealrec.data.catalogue import Catalogue
from dealrec.data.findings import FileFindings, Removal
from dealrec.data.identifiers import merged, normalised, numbered, with_zeros
from dealrec.data.interactions import Interactions
from dealrec.data.sequences import in_order
from dealrec.data.sessions import with_sessions
from dealrec.data.times import unit_of
from dealrec.errors import FieldError, InputError

Bool = npt.NDArray[np.bool_]
_DATES = "a `timestamp` that counts from 1970, or dates"


@dataclass(frozen=True)
class Filtered:
    """Interactions that the filters leave, and what they set aside."""

    rows: Interactions
    """Ordered by user and time; users and items are numbered in the order of the bytes of their ids."""
    catalogue: Catalogue | None
    """Without the items that were left out."""
    aside: list[Interactions] = field(default_factory=list)
    """Interactions that were left out, and that would not be if more rows came."""
    cut_users: int | None = None
    """The users whose sessions are the users now; ``None`` where users are not cut into sessions."""


def filtered(
    raw: Interactions, catalogue: Catalogue | None, options: DataOptions, findings: FileFindings
) -> Filtered:
    """Bring interactions into order, and leave out repetitions and what the filters ask for.

    Raises:
        InputError: ``filter_not_possible``, or ``nothing_left``.
    """
    if options.normalise_ids:
        raw = with_normal_ids(raw, None if catalogue is None else catalogue.item_ids)
    every = _numbered(raw)
    raw = recent(every, options, findings)
    users = None
    if options.session_minutes is not None:
        users = len(np.unique(raw.users))
        raw = sessions(raw, options.session_minutes)
    titled, catalogue = with_titles(raw, catalogue, options, findings)
    aside = list[Interactions]()
    if not titled.all():
        aside.append(raw.take(~titled))
        raw = raw.take(titled)
    raw, repeated = in_order(raw)
    findings.repeat(repeated)
    first = without_repeats(raw, options, findings)
    if not first.all():
        window = options.last_days is not None and options.repeats is Repeats.FIRST
        if window or options.session_minutes is not None:
            aside.append(raw.take(~first))  # a window that moves on, or a session, still needs them
        raw = raw.take(first)
    kept = core(raw, options, findings)
    if not kept.all():
        aside.append(raw.take(~kept))
        raw = raw.take(kept)
    lost = len(raw.users) + len(repeated) < len(every.users)
    if lost or users is not None:  # an id may have lost all its rows
        raw = _numbered(raw)
    if catalogue is not None and options.item_core > 1:
        used = pc.is_in(catalogue.item_ids, value_set=raw.item_ids)
        if pc.any(used).as_py():  # otherwise the ids do not match, and that is said of all of them
            catalogue = catalogue.where(used)
    return Filtered(raw, catalogue, aside, users)


def sessions(raw: Interactions, minutes: float) -> Interactions:
    """Make each session a user.

    Raises:
        InputError: ``filter_not_possible`` without times that are dates.
    """
    cut = with_sessions(raw, minutes)
    if cut is None:
        raise _not_possible("session_minutes", _DATES)
    return _numbered(cut)


def _numbered(raw: Interactions) -> Interactions:
    user_ids, users = numbered(raw.user_ids, raw.users)
    item_ids, items = numbered(raw.item_ids, raw.items)
    return replace(raw, user_ids=user_ids, users=users, item_ids=item_ids, items=items)


def with_normal_ids(raw: Interactions, known: pa.Array | None) -> Interactions:
    """Mend ids; ``known`` are those of the items file, which are mended already."""
    user_ids, users = merged(normalised(raw.user_ids), raw.users)
    item_ids = normalised(raw.item_ids)
    if known is not None:
        item_ids = with_zeros(item_ids, known)
    item_ids, items = merged(item_ids, raw.items)
    return replace(raw, user_ids=user_ids, users=users, item_ids=item_ids, items=items)


def recent(raw: Interactions, options: DataOptions, findings: FileFindings) -> Interactions:
    """Leave out interactions that are too old.

    Raises:
        InputError: ``filter_not_possible`` without times that are dates.
    """
    if options.last_days is None:
        return raw
    unit = None if raw.times is None else unit_of(raw.times)
    if raw.times is None or unit is None:
        raise _not_possible("last_days", _DATES)
    newest = int(raw.times.max())
    newest = newest if raw.newest is None else max(newest, raw.newest)
    oldest = newest - int(options.last_days * 86_400 * unit.a_second)
    kept = raw.times >= oldest
    _count(kept, "last_days", findings)
    return raw.take(kept)


def with_titles(
    raw: Interactions, catalogue: Catalogue | None, options: DataOptions, findings: FileFindings
) -> tuple[Bool, Catalogue | None]:
    """Leave out items whose title is too short; [N] says which interactions stay.

    Raises:
        InputError: ``filter_not_possible`` without an items file.
    """
    if not options.min_title_length:
        return np.ones(len(raw.users), bool), catalogue
    if catalogue is None:
        raise _not_possible("min_title_length", "an items file with titles")
    long = pc.greater_equal(pc.utf8_length(catalogue.titles), options.min_title_length)
    catalogue = catalogue.where(pc.fill_null(long, False))
    known = pc.is_in(raw.item_ids, value_set=catalogue.item_ids).to_numpy(zero_copy_only=False)
    kept: Bool = known[raw.items]
    _count(kept, "min_title_length", findings)
    return kept, catalogue


def without_repeats(raw: Interactions, options: DataOptions, findings: FileFindings) -> Bool:
    """Keep one interaction of each user with an item; [N] says which of ``raw``, which is in order."""
    if options.repeats is Repeats.ALL:
        return np.ones(len(raw.users), bool)
    pairs = raw.users.astype(np.int64) * len(raw.item_ids) + raw.items
    kept = np.zeros(len(pairs), bool)
    if options.repeats is Repeats.FIRST:
        kept[np.unique(pairs, return_index=True)[1]] = True
    else:
        kept[len(pairs) - 1 - np.unique(pairs[::-1], return_index=True)[1]] = True
    _count(kept, "repeats", findings)
    return kept


def core(raw: Interactions, options: DataOptions, findings: FileFindings) -> Bool:
    """Leave out users and items with too few interactions until none is left that has too few.

    Returns:
        [N] whether an interaction stays.
    """
    parts = [
        ("user_core", raw.user_ids, raw.users, options.user_core),
        ("item_core", raw.item_ids, raw.items, options.item_core),
    ]
    kept, before = np.ones(len(raw.users), bool), -1
    while (now := int(kept.sum())) != before:
        before = now
        for name, ids, indices, least in parts:
            if least > 1:
                counts = np.bincount(indices[kept], minlength=len(ids))
                kept = findings.remove(name, kept, counts[indices] >= least)
    findings.require_left()
    return kept


def _count(kept: Bool, name: str, findings: FileFindings) -> None:
    findings.remove(name, np.ones(len(kept), bool), kept)
    findings.require_left()


def removals(findings: FileFindings, options: DataOptions) -> Iterator[Removal]:
    """Say what each filter that was asked for has removed."""
    for name, rows in findings.removed.items():
        left_out = "was left out" if rows == 1 else "were left out"
        message = f"{counted(rows, 'interaction')} {_why(name, options)} {left_out}."
        yield {"filter": name, "rows": rows, "message": message}


def _why(name: str, options: DataOptions) -> str:
    match name:
        case "min_rating":
            return f"with a rating below {options.min_rating:g}"
        case "events":
            return f"with an event other than {', '.join(options.events)}"
        case "last_days":
            return f"more than {options.last_days:g} days older than the newest one"
        case "min_title_length":
            return f"with items whose title has fewer than {options.min_title_length} characters"
        case "repeats":
            return f"other than the {options.repeats} one of their user with the item"
        case "user_core":
            return f"of users with fewer than {options.user_core} interactions"
        case _:
            return f"with items with fewer than {options.item_core} interactions"


def _not_possible(name: str, needed: str) -> InputError:
    return InputError(
        f"The filter `{name}` needs {needed}, which the data set does not have.",
        code="filter_not_possible",
        errors=[FieldError(f"data.{name}", f"needs {needed}")],
    )
