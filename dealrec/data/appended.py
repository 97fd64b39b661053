"""The account of what an append added to a data set."""

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
