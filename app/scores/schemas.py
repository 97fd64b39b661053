"""What scores look like over HTTP."""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel

from dealrec.app.tables.jobs import ScoreRow


class ScoreFormat(StrEnum):
    """What scores are handed out as."""

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
    """A sample's scores; ``stratum`` is null where hard pruning dropped it."""

    sample_key: str
    influence: float
    effort: float | None
    overall: float
    stratum: int | None
    selected: bool

    @classmethod
    def of(cls, row: ScoreRow) -> Self:
        """The row in the contract's words."""
        return cls.model_validate(row, from_attributes=True)


class Histogram(BaseModel):
    """How a score is spread over all samples, and over those that the job selected."""

    score: ScoreName
    edges: list[float]
    """Ascending, one more than bins; a bin holds its lower edge, the last one both."""
    all: list[int]
    selected: list[int]
