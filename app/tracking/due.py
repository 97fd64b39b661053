"""The columns of a job that ends, from which a worker writes records to trackers."""

from collections.abc import Iterable

from dealrec.app.kit.database import DatabaseClock
from dealrec.app.tables.jobs import StoredTracking, TrackingState


def records_due(trackers: Iterable[str]) -> dict[str, object]:
    """Return the values of ``tracking`` and ``track_at``; both are null where there are no trackers."""
    found: list[StoredTracking] = [
        {
            "tracker": address,
            "state": TrackingState.PENDING.value,
            "attempts": 0,
            "run": None,
            "error": None,
        }
        for address in trackers
    ]
    return {"tracking": found or None, "track_at": DatabaseClock() if found else None}
