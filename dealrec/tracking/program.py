"""Writes one record in a process of its own: a worker that lives for months loads no library of a tracker.

Reads a :class:`WriteRequest` from standard input, and writes a :class:`WriteAnswer` to standard output.
"""

import sys

from pydantic import BaseModel

from dealrec.tracking.record import RunRecord
from dealrec.tracking.trackers import TrackerFailed, tracker_of


class WriteRequest(BaseModel):
    """A record, and the address of the tracker that gets it."""

    tracker: str
    record: RunRecord


class WriteAnswer(BaseModel):
    """What the tracker calls the record, or why it has none."""

    run: str | None = None
    error: str | None = None


def answer(request: str) -> bytes:
    """Write the record of a request, and return the answer, both as JSON."""
    asked = WriteRequest.model_validate_json(request)
    try:
        found = WriteAnswer(run=tracker_of(asked.tracker).write(asked.record))
    except TrackerFailed as error:
        found = WriteAnswer(error=str(error))
    return found.model_dump_json().encode()


if __name__ == "__main__":
    told = answer(sys.stdin.read())
    sys.stdout.buffer.write(b"\n" + told)  # after whatever the library of the tracker has printed
