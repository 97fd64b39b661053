"""The table of the audit trail."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from dealrec.app.tables.base import Base, Id, TenantOwned, UtcDateTime


class Actor(StrEnum):
    """The kind of caller who acted."""

    KEY = "key"
    LOCAL = "local"
    """A request from this machine while no keys existed."""
    COMMAND = "command"
    """The command line on a machine that reaches the database."""
    SERVICE = "service"
    """The service itself, such as when it gives a webhook's message up."""


class AuditRow(TenantOwned, Base):
    """One action, written in the transaction of its effect, without row contents or a key's text."""

    __tablename__ = "audit_events"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    action: Mapped[str] = mapped_column(String(60))
    """``dataset.create``, ``job.cancel``, ``key.revoke``, …"""
    object_id: Mapped[str] = mapped_column(Id)
    actor: Mapped[str] = mapped_column(String(20))
    key_id: Mapped[str | None] = mapped_column(Id)
    """The id of the caller's key, if it sent one."""
    request_id: Mapped[str | None] = mapped_column(String(64))
    """The request's id, which its log lines also carry."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
