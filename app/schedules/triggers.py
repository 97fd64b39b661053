"""The triggers of schedules: a time by the rules of cron, a new version of the data set, or drift."""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import Field, TypeAdapter, field_validator

from dealrec.app.kit.schemas import Body

_FIELDS = 5


class CronTrigger(Body):
    """A trigger that is due at the times of a cron expression."""

    kind: Literal["cron"] = "cron"
    cron: Annotated[str, Field(max_length=200)]
    """A cron expression of five fields: minute, hour, day of the month, month, day of the week, such as
    ``30 3 * * mon-fri``. If both days are given and neither begins with a star, a match of either is
    enough."""
    time_zone: Annotated[str, Field(max_length=60)] = "UTC"
    """The name of an IANA time zone, such as ``Europe/Berlin``. When the clocks change, a time that is
    skipped is due right after the change, and a time that comes twice is due once, as in Debian's cron."""

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError("must be the name of a time zone, such as UTC or Europe/Berlin")
        return name

    @field_validator("cron")
    @classmethod
    def _readable(cls, text: str) -> str:
        text = " ".join(text.split())
        try:
            if len(text.split()) != _FIELDS:
                raise CronSimError("it does not have five fields")
            next(CronSim(text, datetime(2024, 1, 1, tzinfo=UTC)))
        except StopIteration:
            raise ValueError("describes a time that never comes") from None
        except (CronSimError, ValueError) as error:
            told = str(error)
            raise ValueError(
                f"cannot be read ({told[:1].lower()}{told[1:]}); the five fields are minute, hour, day "
                "of the month, month and day of the week, such as `30 3 * * *`"
            ) from None
        return text

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Yield the due times after ``moment``, in UTC, earliest first."""
        for due in CronSim(self.cron, moment.astimezone(ZoneInfo(self.time_zone))):
            if due.astimezone(UTC) > moment:  # of an hour that comes twice, only the first counts
                yield due.astimezone(UTC)


class VersionTrigger(Body):
    """A trigger that is due when a new version of the data set is ready."""

    kind: Literal["on_version"] = "on_version"


class DriftMeasure(StrEnum):
    """The measure of drift that a schedule watches."""

    POPULARITY = "popularity"
    """The Jensen-Shannon distance between the target distributions of a version and the previous version."""
    NEW_ITEMS = "new_items"
    """The share of a version's items that the previous version did not have."""


class DriftTrigger(Body):
    """A trigger that is due when the data have drifted further than a bound since the last job."""

    kind: Literal["drift"] = "drift"
    measure: DriftMeasure = DriftMeasure.POPULARITY
    above: Annotated[float, Field(gt=0, le=10)]
    """The bound above which a job is made. The figures of all versions since that of the last job are
    added up, and the distance to that version is at most this sum."""


Trigger = Annotated[CronTrigger | VersionTrigger | DriftTrigger, Field(discriminator="kind")]
_TRIGGER: TypeAdapter[CronTrigger | VersionTrigger | DriftTrigger] = TypeAdapter(Trigger)


def trigger_of(stored: dict[str, object]) -> CronTrigger | VersionTrigger | DriftTrigger:
    """Read a trigger from the form in which it is stored."""
    return _TRIGGER.validate_python(stored)


def next_due(trigger: Trigger, after: datetime, count: int = 1) -> list[datetime]:
    """Return the next ``count`` due times after ``after``, in UTC; none if the trigger follows the data."""
    return list(islice(trigger.after(after), count)) if isinstance(trigger, CronTrigger) else []
