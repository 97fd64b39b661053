"""The tables of uploads and their parts."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from dealrec.app.tables.base import Base, BigInt, Id, TenantOwned, UtcDateTime


class UploadRow(TenantOwned, Base):
    """A file that is sent in parts; it is complete once ``key`` is set."""

    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    filename: Mapped[str] = mapped_column(String(200))
    bytes: Mapped[int] = mapped_column(BigInt)
    """The declared size; the parts must add up to it."""
    sha256: Mapped[str | None] = mapped_column(String(64))
    """The declared hash, or the computed one once the upload is complete."""
    part_bytes: Mapped[int] = mapped_column(BigInt)
    """The size of every part but the last, which has the rest."""
    key: Mapped[str | None] = mapped_column(String(500))
    """The storage key of the whole file."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class UploadPartRow(Base):
    """A part that has arrived; a part that is sent again replaces it."""

    __tablename__ = "upload_parts"

    upload_id: Mapped[str] = mapped_column(
        ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(BigInt, primary_key=True)
    """The number of the part, from 1."""
    bytes: Mapped[int] = mapped_column(BigInt)
    sha256: Mapped[str] = mapped_column(String(64))
    key: Mapped[str] = mapped_column(String(500))
