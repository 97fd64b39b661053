"""Reads the members of a coreset back."""

from pathlib import Path

import pyarrow.parquet as pq

from dealrec.data.prompts import PromptedSample


def read_members(members: Path) -> list[PromptedSample]:
    """The texts of a ``members.parquet``, in its order."""
    table = pq.read_table(members, columns=["instruction", "input", "output"])
    return [PromptedSample(**row) for row in table.to_pylist()]
