"""The accounts of what an append added to a data set, and of how far that moved it."""

from typing import TypedDict


class Appended(TypedDict):
    """What an append added to the version before it."""

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
    """The share of the items with interactions that had none before."""
    new_item_interactions: float
    """The share of the interactions that came which are on such items."""


def appended_line(added: Appended) -> str:
    """Say in plain words what an append added."""
    told = (
        f"appended: {added['interactions']:,} interactions, of which {added['late']:,} are older than the "
        f"newest one before; {added['new_users']:,} new users and {added['new_items']:,} new items; "
        f"{added['repeated']:,} rows repeat others"
    )
    if added["replaced"]:
        told += f" and replace {added['replaced']:,} of the version before"
    if added["new_texts"]:
        told += f"; {added['new_texts']:,} items have got a title"
    return told


def drift_line(found: Drift) -> str:
    """Say in plain words how far a version has moved."""
    return (
        f"drift from the version before: the popularity of targets has moved by {found['popularity']:.3f} "
        f"(0 is the same, 1 shares no item); {found['new_items']:.1%} of the items are new, and "
        f"{found['new_item_interactions']:.1%} of the interactions that came are on them"
    )
