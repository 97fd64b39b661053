"""The part of a stage that several areas show over HTTP."""

from pydantic import BaseModel


class Progress(BaseModel):
    """How far a stage is."""

    done: int
    total: int
    unit: str
