"""The request and the answer of the program that merges an adapter into its model."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel


class MergeRequest(BaseModel):
    """The adapter and the model to merge, and the folder for the result."""

    adapter: Path
    model: str
    dtype: Literal["float32", "bfloat16"] = "float32"
    out: Path


class MergeAnswer(BaseModel):
    """The outcome: no problem, or one as the service answers it."""

    problem: dict[str, Any] | None = None
