"""The accounts of what an append added to a data set, and of how far that moved it."""

from typing import TypedDict

from dealrec.config.wording import counted


class Appended(TypedDict):
    """The rows, users and items that an append added to the version before it."""

    parent_sha256: str
    """The content hash of the version before."""
    interactions: int
    """The rows that were accepted and are no repetitions, before filters."""
    repeated: int
    """Rows that repeat one of the version before, or one another."""
    replaced: int
    """Rows of the version before that gave way to a repetition with an earlier split or a higher rating."""
    late: int
    """Accepted rows that are older than the newest one of the version before."""
    new_users: int
    new_items: int
    """Users and items that the version before did not have; after filters."""
    new_texts: int
    """Items that the version before knew without a title and that have one now."""


class Drift(TypedDict):
    """The drift of a version from the one before it; each figure is between 0 and 1."""

    popularity: float
    """The Jensen-Shannon distance of the distributions of targets, in which newer interactions weigh more.
    Being a distance, it adds up: two versions are no further apart than the sum of the steps between."""
    new_items: float
    """The share of the items with interactions that had no interactions before."""
    new_item_interactions: float
    """The share of the new interactions that are with such items."""


def appended_line(added: Appended) -> str:
    """Say in plain words what an append added."""
    told = (
        f"appended: {counted(added['interactions'], 'interaction')}, {added['late']:,} of them older "
        f"than the newest one before; {counted(added['new_users'], 'new user')} and "
        f"{counted(added['new_items'], 'new item')}; "
        f"{counted(added['repeated'], 'repeated row')}"
    )
    if added["replaced"]:
        told += f", {added['replaced']:,} of which replace a row of the version before"
    if added["new_texts"]:
        told += f"; {counted(added['new_texts'], 'known item')} got a title"
    return told


def drift_line(found: Drift) -> str:
    """Say in plain words how far a version has moved."""
    return (
        f"drift from the version before: the popularity of targets has moved by {found['popularity']:.3f} "
        "(0: no change, 1: no item in common); "
        f"{found['new_items']:.1%} of the items are new, and "
        f"{found['new_item_interactions']:.1%} of the new interactions are with new items"
    )
