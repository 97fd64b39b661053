"""Sessions as users: a user's interactions are cut where nothing happened for long."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.data.identifiers import merged
from dealrec.data.interactions import Interactions
from dealrec.data.times import unit_of

_MARK = "@"
"""Stands between a user's id and the first timestamp of the session."""


def with_sessions(raw: Interactions, minutes: float) -> Interactions | None:
    """Make each session a user, called ``user@time`` after its first timestamp.

    A session ends where the same user's next interaction is more than ``minutes`` later. The names do not
    depend on later sessions. The result is ``None`` without times that are dates.
    """
    unit = None if raw.times is None else unit_of(raw.times)
    if raw.times is None or unit is None:
        return None
    order = np.lexsort((raw.times, raw.users))
    users, times = raw.users[order], raw.times[order]
    begins = np.ones(len(order), bool)
    begins[1:] = (np.diff(users) != 0) | (np.diff(times) > minutes * 60 * unit.a_second)
    sessions = np.empty(len(order), np.int32)
    sessions[order] = np.cumsum(begins) - 1
    names = raw.user_ids.take(pa.array(users[begins])).cast(pa.string())
    first = pa.array(times[begins]).cast(pa.string())
    return replace(raw, user_ids=pc.binary_join_element_wise(names, first, _MARK), users=sessions)


def without_sessions(rows: Interactions) -> Interactions:
    """Give sessions of :func:`with_sessions` their users back."""
    names = pc.replace_substring_regex(rows.user_ids, f"{_MARK}-?[0-9]+$", "")
    user_ids, users = merged(names, rows.users)
    return replace(rows, user_ids=user_ids, users=users)
