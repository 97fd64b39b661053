"""The separation of tenants: every area's repository inherits from this class."""

import re
from typing import Any, ClassVar, Generic, TypeVar, cast

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from dealrec.app.kit.errors import NotFound
from dealrec.app.kit.pagination import PageRequest, Slice, invalid_cursor

Row = TypeVar("Row", bound=Any)
_ID = re.compile(r"[a-z]{2,5}_[0-9a-z]{1,32}", re.ASCII)


class TenantRepository(Generic[Row]):
    """Queries over one table that see only the rows of one tenant."""

    model: ClassVar[type[Any]]
    noun: ClassVar[str]
    """The word for a row in errors."""

    def __init__(self, session: Session, tenant_id: str) -> None:
        self.session = session
        self.tenant_id = tenant_id

    def query(self) -> Select[Row]:
        """Select all of the tenant's rows; every other query starts here."""
        return select(self.model).where(self.model.tenant_id == self.tenant_id)

    def get(self, identifier: str, *, lock: bool = False) -> Row:
        """Return the row by its id; ``lock`` keeps it from changing until the transaction ends.

        Raises :class:`NotFound`, also for another tenant's id.
        """
        row = None
        if _ID.fullmatch(identifier):
            query = self.query().where(self.model.id == identifier)
            row = self.session.scalars(query.with_for_update() if lock else query).one_or_none()
        if row is None:
            raise NotFound.of(self.noun, identifier)
        return cast("Row", row)

    def find(self, identifier: str) -> Row | None:
        """Return the row by its id, if it is there."""
        query = self.query().where(self.model.id == identifier)
        return cast("Row | None", self.session.scalars(query).one_or_none())

    def page(self, query: Select[Row], request: PageRequest) -> Slice[Row]:
        """Return a page, newest first; ``query`` must come from :meth:`query`."""
        if request.after is not None:
            if not _ID.fullmatch(request.after):
                raise invalid_cursor()
            query = query.where(self.model.id < request.after)
        query = query.order_by(self.model.id.desc()).limit(request.limit + 1)
        return Slice.cut(self.session.scalars(query).all(), request.limit, lambda row: str(row.id))
