"""The table of data sets."""

from datetime import datetime
from enum import StrEnum
from typing import NotRequired, TypedDict

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from dealrec.app.tables.base import Base, BigInt, Id, Json, TenantOwned, UtcDateTime


class DatasetState(StrEnum):
    """A data set is ``validating``, then ``ready`` or ``rejected``."""

    VALIDATING = "validating"
    READY = "ready"
    REJECTED = "rejected"


class StoredFile(TypedDict):
    """A file of a data set, and the name that its sender gave it."""

    key: str
    """Its key in storage; empty where it has an address."""
    filename: str
    bytes: int
    """The bytes in storage."""
    address: NotRequired[str]
    """The address where it is read."""
    renamed: NotRequired[dict[str, str]]
    """The names that some of its columns have in the table, by those in the file."""
    further: NotRequired[list["StoredFile"]]
    """Other files of the same table."""


def stored_files(file: StoredFile) -> list[StoredFile]:
    """All files of a table."""
    return [file, *file.get("further", [])]


class DatasetRow(TenantOwned, Base):
    """An uploaded data set; its files live in object storage."""

    __tablename__ = "datasets"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(20))
    split: Mapped[str | None] = mapped_column(String(20))
    """The split that was requested, later the one that was used."""
    options: Mapped[dict[str, object]] = mapped_column(Json, default=dict)
    """Those of :class:`~dealrec.config.DataOptions` that the request named."""
    uploads: Mapped[dict[str, StoredFile | None]] = mapped_column(Json)
    """The files by role: ``interactions``, ``items`` and ``samples``; one that is not there may be null."""
    prefix: Mapped[str | None] = mapped_column(String(500))
    """The storage prefix of the validated data set."""
    sha256: Mapped[str | None] = mapped_column(String(64))
    counts: Mapped[dict[str, int] | None] = mapped_column(Json)
    report: Mapped[dict[str, object] | None] = mapped_column(Json)
    train_lengths: Mapped[dict[str, int] | None] = mapped_column(Json)
    """A map from a number of training items to the number of users who have it, for counting samples."""
    error: Mapped[dict[str, object] | None] = mapped_column(Json)
    stored_bytes: Mapped[int] = mapped_column(BigInt, default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    """1, or one more than that of the version that files were appended to."""
    root_id: Mapped[str | None] = mapped_column(Id, index=True)
    """The first version; ``None`` in itself. It names no row once that was deleted, as ``parent_id``."""
    parent_id: Mapped[str | None] = mapped_column(Id, index=True)
    """The version that files were appended to."""
    parent_sha256: Mapped[str | None] = mapped_column(String(64))
