"""Kinds of synthetic data."""

from enum import StrEnum


class SampleKind(StrEnum):
    """The kinds of synthetic data, which :mod:`dealrec.data.regimes` makes."""

    SEQUENCES = "sequences"
    """Users move between genres, and some items follow others more often than by chance."""
    SESSIONS = "sessions"
    """Users come back after days. A visit stays in one genre, walks from successor to successor with
    minutes between, and says nothing about the next visit."""
    SETS = "sets"
    """A user chooses items of two genres, all at the same time, so that there is no order."""
    LONG = "long"
    """Sequences of a hundred items and more. Items of the first half of the catalogue are chosen early,
    each followed by its successor; items of the second half are chosen late and have no successors."""
    COLD = "cold"
    """A user stays in one genre. A tenth of the items appear in the last tenth of the time."""
    RATINGS = "ratings"
    """A user likes three genres (ratings of 4 or 5) and also tries all others (ratings of 1 or 2)."""
