"""Kinds of synthetic data."""

from enum import StrEnum


class SampleKind(StrEnum):
    """What synthetic data are like; :mod:`dealrec.data.regimes` makes them."""

    SEQUENCES = "sequences"
    """Users move between genres along planted paths."""
    SESSIONS = "sessions"
    """Users come back after days. A visit stays in one genre, walks from successor to successor with
    minutes between, and says nothing about the next visit."""
    SETS = "sets"
    """A user chooses items of two genres, all at one moment: there is no order."""
    LONG = "long"
    """Sequences of a hundred and more. Items of the first half of the catalogue are chosen early, each
    followed by its successor, and items of the second half late, with nothing that follows from them."""
    COLD = "cold"
    """A user stays in one genre. A tenth of the items appear in the last tenth of the time."""
    RATINGS = "ratings"
    """A user likes three genres, rated 4 or 5, and comes upon all others, rated 1 or 2."""
