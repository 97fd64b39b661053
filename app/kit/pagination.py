"""Lists: a limit, an opaque cursor, and the one form of the answer."""

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
    """Give it back as ``after`` for the next page; null on the last one."""


@dataclass(frozen=True)
class PageRequest:
    """Which page is asked for."""

    limit: int
    after: str | None

    def position(self) -> int | None:
        """``after`` as a position in a numbered list; raises InputError (``invalid_cursor``)."""
        if self.after is None:
            return None
        if not (self.after.isascii() and self.after.isdigit() and len(self.after) < 19):
            raise invalid_cursor()
        return int(self.after)


@dataclass(frozen=True)
class Slice(Generic[Item]):
    """The rows of one page, before they are put into the contract's words."""

    rows: Sequence[Item]
    next: str | None

    @classmethod
    def cut(cls, rows: Sequence[Item], limit: int, cursor: Callable[[Item], str]) -> "Slice[Item]":
        """From up to ``limit + 1`` rows; the one too many only tells that there are more."""
        kept = rows[:limit]
        return cls(kept, cursor(kept[-1]) if len(rows) > limit else None)

    def page(self, present: Callable[[Item], Other]) -> Page[Other]:
        """The page with every row put through ``present``."""
        return Page(
            data=[present(row) for row in self.rows],
            has_more=self.next is not None,
            next=self.next,
        )


def invalid_cursor() -> InputError:
    """``after`` is not something that a list gave out."""
    return InputError(
        "`after` is not a cursor of this list.",
        code="invalid_cursor",
        title="The cursor cannot be used",
        errors=[FieldError("after", "use the `next` of an earlier page")],
    )


def _page_request(
    limit: Annotated[int, Query(ge=1, le=200, description="Most entries of a page")] = 50,
    after: Annotated[
        str | None, Query(max_length=100, description="The `next` of the page before")
    ] = None,
) -> PageRequest:
    return PageRequest(limit, after)


PageQuery = Annotated[PageRequest, Depends(_page_request)]
