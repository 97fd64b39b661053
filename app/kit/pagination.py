"""Pages of lists: a limit, an opaque cursor, and one form of answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Query
from pydantic import BaseModel

from dealrec.errors import FieldError, InputError

Item = TypeVar("Item")
Other = TypeVar("Other")


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    data: list[Item]
    has_more: bool
    next: str | None
    """The cursor to send as ``after`` for the next page; null on the last page."""


@dataclass(frozen=True)
class PageRequest:
    """The page that a request asks for."""

    limit: int
    after: str | None

    def position(self) -> int | None:
        """Read ``after`` as a position in a numbered list; raises InputError (``invalid_cursor``)."""
        if self.after is None:
            return None
        if not (self.after.isascii() and self.after.isdigit() and len(self.after) < 19):
            raise invalid_cursor()
        return int(self.after)


@dataclass(frozen=True)
class Slice(Generic[Item]):
    """The rows of one page, before they become schemas of the contract."""

    rows: Sequence[Item]
    next: str | None

    @classmethod
    def cut(cls, rows: Sequence[Item], limit: int, cursor: Callable[[Item], str]) -> "Slice[Item]":
        """Cut a page from up to ``limit + 1`` rows; the last one only shows that there are more."""
        kept = rows[:limit]
        return cls(kept, cursor(kept[-1]) if len(rows) > limit else None)

    def page(self, present: Callable[[Item], Other]) -> Page[Other]:
        """Make the page with ``present`` applied to every row."""
        return Page(
            data=[present(row) for row in self.rows],
            has_more=self.next is not None,
            next=self.next,
        )


def invalid_cursor() -> InputError:
    """Make the error for an ``after`` that no list has given out."""
    return InputError(
        "`after` is not a cursor of this list.",
        code="invalid_cursor",
        title="The cursor cannot be used",
        errors=[FieldError("after", "must be the value of `next` on an earlier page")],
    )


def _page_request(
    limit: Annotated[
        int, Query(ge=1, le=200, description="The largest number of entries on a page")
    ] = 50,
    after: Annotated[
        str | None, Query(max_length=100, description="The value of `next` on the previous page")
    ] = None,
) -> PageRequest:
    return PageRequest(limit, after)


PageQuery = Annotated[PageRequest, Depends(_page_request)]
