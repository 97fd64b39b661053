"""A curve as a comparison draws it, without the trainings."""

from dealrec.config import PruneConfig
from dealrec.config.curve import Curve, CurveOf, CurvePoint, Figure

SHARES = {0: 0.0, 10: 0.6, 25: 0.93, 50: 0.98, 60: 1.0}
"""The share that each number of samples reaches; the last one is all samples."""


def made_curve(dataset_sha256: str, config: PruneConfig, *, gain: bool = True) -> Curve:
    """A curve for a configuration that trains; without ``gain`` all samples are no better than none."""
    return Curve(
        of=CurveOf.of(dataset_sha256, config),
        metric="preference",
        points=[
            CurvePoint(
                samples=samples,
                runs=5 if samples else 0,
                metrics={"preference": _around(0.3 * share)},
                share=_around(share) if gain else None,
            )
            for samples, share in SHARES.items()
        ],
    )


def _around(mean: float) -> Figure:
    return Figure(mean=mean, low=mean - 0.04, high=mean + 0.04)
