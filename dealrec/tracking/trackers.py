"""Trackers by their addresses, such as ``mlflow:http://localhost:5000`` or ``tensorboard:runs``."""

import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module

from dealrec.errors import FieldError, InputError
from dealrec.extras import Extra, require
from dealrec.tracking.record import RunRecord

_MODULES = {
    "mlflow": "dealrec.tracking.to_mlflow",
    "tensorboard": "dealrec.tracking.to_tensorboard",
    "wandb": "dealrec.tracking.to_wandb",
}
_REASON = 200
"""The longest reason, in characters, that is shown where a tracker could not be written to."""


class TrackerKind(StrEnum):
    """The kind of a tracker; the extra that it needs has the same name."""

    MLFLOW = "mlflow"
    """The address goes on with a tracking URI: a server, a folder, or a database."""
    TENSORBOARD = "tensorboard"
    """The address goes on with a folder, which gets a folder with an event file for each job."""
    WANDB = "wandb"
    """The address goes on with a folder for offline runs, which ``wandb sync`` uploads."""


class TrackingWarning(UserWarning):
    """A tracker got no record; the work itself went on."""


class TrackerFailed(Exception):
    """A tracker could not be written to; the text says why, without its address."""


@dataclass(frozen=True)
class Tracker:
    """A place that records of jobs are written to."""

    kind: TrackerKind
    place: str

    def require(self) -> None:
        """Raise :class:`NotInstalled` where the extra is missing."""
        require(Extra(self.kind.value))

    def write(self, record: RunRecord) -> str:
        """Write a record, or replace the earlier one of its id; return what the tracker calls it.

        Raises:
            TrackerFailed: Whatever went wrong.
        """
        try:
            self.require()
            with redirect_stdout(sys.stderr):  # MLflow prints addresses, and a command prints JSON
                written: str = import_module(_MODULES[self.kind]).write(self.place, record)
        except Exception as error:  # each library raises errors of its own kinds
            said = str(error).replace(self.place, "its address").strip().split("\n")[0]
            reason = type(error).__name__ + (f": {said}" if said else "")
            raise TrackerFailed(reason[:_REASON]) from error
        return written


def trackers_of(addresses: str | Iterable[str]) -> list[Tracker]:
    """Read the addresses of trackers, of which one text may hold several with spaces between them.

    Raises:
        InputError: ``invalid_tracker`` for an address of no known kind.
        NotInstalled: The extra of a tracker is missing.
    """
    given = [addresses] if isinstance(addresses, str) else addresses
    trackers = [tracker_of(part) for text in given for part in text.split()]
    for tracker in trackers:
        tracker.require()
    return trackers


def tracker_of(address: str) -> Tracker:
    """Read one address, whether or not its extra is installed; raises :class:`InputError` as above."""
    kind, _, place = address.partition(":")
    if kind not in set(TrackerKind) or not place:
        known = ", ".join(f"{kind}:…" for kind in TrackerKind)
        raise InputError(
            f"{address!r} is not the address of a tracker. It must have one of the forms {known}, for "
            "example mlflow:http://localhost:5000 or tensorboard:runs.",
            code="invalid_tracker",
            title="The tracker is not known",
            errors=[FieldError("track", f"must have one of the forms {known}")],
        )
    return Tracker(TrackerKind(kind), place)


def write_everywhere(trackers: Sequence[Tracker], record: RunRecord) -> tuple[str, ...]:
    """Write a record to each tracker; return a sentence for each that failed, and warn with it."""
    sentences = tuple(_failures(trackers, record))
    for sentence in sentences:
        warnings.warn(sentence, TrackingWarning, stacklevel=5)  # whoever called the library
    return sentences


def _failures(trackers: Sequence[Tracker], record: RunRecord) -> Iterator[str]:
    for tracker in trackers:
        try:
            tracker.write(record)
        except TrackerFailed as error:
            yield (
                f"The {tracker.kind} tracker got no record of this run ({error}). The results "
                "themselves are complete."
            )
