"""The columns that have a meaning here."""

from enum import StrEnum


class Column(StrEnum):
    """The columns that have a meaning here, under our names."""

    USER_ID = "user_id"
    ITEM_ID = "item_id"
    TIMESTAMP = "timestamp"
    POSITION = "position"
    SPLIT = "split"
    RATING = "rating"
    EVENT = "event"
    TITLE = "title"
