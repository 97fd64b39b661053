"""Records of trainings for trackers of experiments: MLflow, TensorBoard, and Weights & Biases offline.

A tracker is an extra that nobody else needs, and its library is loaded only to write a record.
"""

from dealrec.tracking.record import RunRecord, RunState, TrackedStage, record_of
from dealrec.tracking.trackers import (
    Tracker,
    TrackerFailed,
    TrackerKind,
    TrackingWarning,
    tracker_of,
    trackers_of,
    write_everywhere,
)

__all__ = [
    "RunRecord",
    "RunState",
    "TrackedStage",
    "Tracker",
    "TrackerFailed",
    "TrackerKind",
    "TrackingWarning",
    "record_of",
    "tracker_of",
    "trackers_of",
    "write_everywhere",
]
