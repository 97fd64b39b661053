"""Table of the audit trail."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from dealrec.app.tables.base import Base, Id, TenantOwned, UtcDateTime


class Actor(StrEnum):
    """In what capacity somebody acted."""

    KEY = "key"
    LOCAL = "local"
    """A request of this machine, while no keys existed."""
    COMMAND = "command"
    """The command line, on a machine that reaches the database."""


class AuditRow(TenantOwned, Base):
    """One act, written in the transaction of its effect. Never row contents, never a key's text."""

    __tablename__ = "audit_events"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    action: Mapped[str] = mapped_column(String(60))
    """``dataset.create``, ``job.cancel``, ``key.revoke``, …"""
    object_id: Mapped[str] = mapped_column(Id)
    actor: Mapped[str] = mapped_column(String(20))
    key_id: Mapped[str | None] = mapped_column(Id)
    """Of the key, where one was shown."""
    request_id: Mapped[str | None] = mapped_column(String(64))
    """As the log lines of the request have it."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
