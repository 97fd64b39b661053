"""The schema of the audit trail over HTTP."""

from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel

from dealrec.app.tables.audit import Actor, AuditRow


class AuditEvent(BaseModel):
    """One action: ``actor`` did ``action`` to the object ``object_id``."""

    id: str
    object: Literal["audit_event"] = "audit_event"
    action: str
    object_id: str
    actor: Actor
    key_id: str | None
    request_id: str | None
    created_at: datetime

    @classmethod
    def of(cls, row: AuditRow) -> Self:
        """Make the schema of a row."""
        return cls.model_validate(row, from_attributes=True)
