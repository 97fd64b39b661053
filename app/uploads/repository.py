"""Queries over uploads and their parts."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from dealrec.app.kit.database import database_now
from dealrec.app.kit.errors import NotFound
from dealrec.app.kit.repository import TenantRepository
from dealrec.app.tables.uploads import UploadPartRow, UploadRow


class UploadRepository(TenantRepository[UploadRow]):
    """A tenant's uploads."""

    model = UploadRow
    noun = "upload"

    def get(self, identifier: str, *, lock: bool = False) -> UploadRow:
        """Return the upload by its id; raises :class:`NotFound` also for an expired one."""
        row = super().get(identifier, lock=lock)
        if row.expires_at <= database_now(self.session):
            raise NotFound.of(self.noun, identifier)
        return row

    def parts(self, upload: UploadRow) -> list[UploadPartRow]:
        """Return the parts that have arrived, in order."""
        query = select(UploadPartRow).where(UploadPartRow.upload_id == upload.id)
        return list(self.session.scalars(query.order_by(UploadPartRow.number)))

    def forget_parts(self, upload: UploadRow) -> None:
        """Remove the rows of all parts."""
        self.session.execute(delete(UploadPartRow).where(UploadPartRow.upload_id == upload.id))

    def delete(self, upload: UploadRow) -> None:
        """Remove the upload with its parts."""
        self.forget_parts(upload)
        self.session.delete(upload)
        self.session.flush()


def expired(session: Session, now: datetime) -> list[UploadRow]:
    """Return the expired uploads of all tenants."""
    return list(session.scalars(select(UploadRow).where(UploadRow.expires_at <= now)))
