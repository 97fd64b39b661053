"""The records of trackers, as a job shows them."""

from collections.abc import Iterable
from typing import Self

from pydantic import BaseModel

from dealrec.app.tables.jobs import StoredTracking, TrackingState
from dealrec.errors import FieldError
from dealrec.tracking import tracker_of


class Tracked(BaseModel):
    """The record of a job in one of the operator's experiment trackers."""

    tracker: str
    """``mlflow``, ``tensorboard`` or ``wandb``."""
    state: TrackingState
    run: str | None
    """The tracker's name for the record, once it is written: the id of a run, or the name of a folder."""

    @classmethod
    def of_all(cls, stored: Iterable[StoredTracking] | None) -> list[Self]:
        """Make the schemas of what is stored."""
        return [
            cls(tracker=_kind(one), state=TrackingState(one["state"]), run=one["run"])
            for one in stored or ()
        ]


def tracking_warnings(stored: Iterable[StoredTracking] | None) -> list[FieldError]:
    """Find the trackers that could not be written to so far."""
    return [
        FieldError(
            f"tracking.{_kind(one)}",
            f"got no record of this job ({one['error']}); "
            + (
                "another attempt follows"
                if one["state"] == TrackingState.PENDING
                else "no further attempt is made"
            ),
        )
        for one in stored or ()
        if one["error"] is not None
    ]


def _kind(stored: StoredTracking) -> str:
    return tracker_of(stored["tracker"]).kind.value
