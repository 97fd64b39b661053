"""The one choke point between tenants: every area's repository stands on this class."""

import re
from typing import Any, ClassVar, Generic, TypeVar, cast

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from dealrec.app.kit.errors import NotFound
from dealrec.app.kit.pagination import PageRequest, Slice, invalid_cursor

Row = TypeVar("Row", bound=Any)
_ID = re.compile(r"[a-z]{2,5}_[0-9a-z]{1,32}", re.ASCII)


class TenantRepository(Generic[Row]):
    """Queries over one table that see the rows of one tenant only."""

    model: ClassVar[type[Any]]
    noun: ClassVar[str]
    """What a row is called in errors."""

    def __init__(self, session: Session, tenant_id: str) -> None:
        self.session = session
        self.tenant_id = tenant_id

    def query(self) -> Select[Row]:
        """All of the tenant's rows; every other query starts here."""
        return select(self.model).where(self.model.tenant_id == self.tenant_id)

    def get(self, identifier: str, *, lock: bool = False) -> Row:
        """The row by its id; with ``lock``, nobody else changes it before this transaction ends.

        Raises :class:`NotFound`, for another tenant's id as well.
        """
        row = None
        if _ID.fullmatch(identifier):
            query = self.query().where(self.model.id == identifier)
            row = self.session.scalars(query.with_for_update() if lock else query).one_or_none()
        if row is None:
            raise NotFound.of(self.noun, identifier)
        return cast("Row", row)

    def page(self, query: Select[Row], request: PageRequest) -> Slice[Row]:
        """Newest first; ``query`` must come from :meth:`query`."""
        if request.after is not None:
            if not _ID.fullmatch(request.after):
                raise invalid_cursor()
            query = query.where(self.model.id < request.after)
        query = query.order_by(self.model.id.desc()).limit(request.limit + 1)
        return Slice.cut(self.session.scalars(query).all(), request.limit, lambda row: str(row.id))
