"""The curves of a job over HTTP: losses and learning rates, step by step."""

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import BaseModel

from dealrec.app.tables.jobs import StageRow
from dealrec.tracking.record import unit_of


class MetricPoint(BaseModel):
    """The value of a curve after so many steps."""

    step: int
    value: float | None
    """Null if the value is not a number."""


class MetricCurve(BaseModel):
    """A figure of a stage as it changed."""

    name: str
    """``train_loss``, ``valid_loss`` and ``learning_rate`` of the stage ``finetune``; ``loss`` and
    ``valid_ndcg@10`` of ``surrogate``, with the number of the surrogate if several are trained;
    ``validation_preference`` of ``select`` where the selector trains."""
    stage: str
    run: int
    """The run of a comparison to which the stage belongs; 0 in any other job."""
    unit: str
    """The unit of the steps: ``step`` of the optimizer, ``epoch``, or ``round`` of a selector that trains."""
    points: list[MetricPoint]
    """In the order of the steps. Of a long curve every second, fourth, … point is kept, and the last."""


class JobMetrics(BaseModel):
    """The curves of a job's stages."""

    object: Literal["job_metrics"] = "job_metrics"
    job_id: str
    series: list[MetricCurve]

    @classmethod
    def of(cls, job_id: str, stages: Iterable[StageRow]) -> Self:
        """Make the schema from a job's stages, in order."""
        return cls(
            job_id=job_id,
            series=[
                MetricCurve(
                    name=name,
                    stage=row.name,
                    run=row.run,
                    unit=unit_of(row.name),
                    points=[MetricPoint(step=step, value=value) for step, value in points],
                )
                for row in stages
                for name, points in (row.curves or {}).items()
            ],
        )
