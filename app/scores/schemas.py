"""The schemas of scores over HTTP."""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel

from dealrec.app.tables.jobs import ScoreRow


class ScoreFormat(StrEnum):
    """The file formats of scores."""

    PARQUET = "parquet"
    CSV = "csv"

    @property
    def media_type(self) -> str:
        return "text/csv" if self is ScoreFormat.CSV else "application/vnd.apache.parquet"


class ScoreName(StrEnum):
    """One of the three scores of a sample."""

    INFLUENCE = "influence"
    EFFORT = "effort"
    OVERALL = "overall"


class Score(BaseModel):
    """The scores of a sample. ``stratum`` is null if hard pruning dropped the sample.

    ``influence`` is null for texts without ids.
    """

    sample_key: str
    influence: float | None
    effort: float | None
    overall: float
    stratum: int | None
    selected: bool

    @classmethod
    def of(cls, row: ScoreRow) -> Self:
        """Make the schema of a row."""
        return cls.model_validate(row, from_attributes=True)


class Histogram(BaseModel):
    """The histogram of a score over all samples, and over those that the job selected."""

    score: ScoreName
    edges: list[float]
    """Ascending edges, one more than there are bins. A bin includes its lower edge, and the last bin both
    edges."""
    all: list[int]
    selected: list[int]
