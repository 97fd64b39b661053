"""Computes the drift of the versions that a schedule has not accounted for yet."""

from collections.abc import Iterable

from dealrec.app.schedules.triggers import DriftTrigger
from dealrec.app.tables.datasets import DatasetRow
from dealrec.app.tables.schedules import ScheduleRow


def summed_drift(
    schedule: ScheduleRow, trigger: DriftTrigger, newer: Iterable[DatasetRow]
) -> float | None:
    """Add the drift of the versions ``newer`` to the drift that the schedule has summed up so far.

    Returns:
        The sum; ``None`` if it cannot be known, because a version in between was deleted or was stored
        without the figure.
    """
    rows = list(newer)
    there = {row.id for row in rows} | {schedule.seen_id}
    figures = [figure(row, trigger) for row in rows]
    chained = all(row.parent_id is None or row.parent_id in there for row in rows)
    if not chained or None in figures:
        return None
    return schedule.drift + sum(one or 0.0 for one in figures)


def figure(row: DatasetRow, trigger: DriftTrigger) -> float | None:
    """Return the drift of one version: 0 for a first version, and ``None`` if none was stored."""
    if row.parent_id is None:
        return 0.0
    found = (row.report or {}).get("drift")
    return float(found[trigger.measure.value]) if isinstance(found, dict) else None
