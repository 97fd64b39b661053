"""The part of a stage that several areas show over HTTP."""

from pydantic import BaseModel


class Progress(BaseModel):
    """The progress of a stage."""

    done: int
    total: int
    unit: str
