"""Collects the finished stages of a call of the library, and writes a record of them to trackers."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from dealrec.config.stages import StageName, hashed
from dealrec.stages.context import StageFacts
from dealrec.tracking import RunState, TrackedStage, record_of, trackers_of, write_everywhere


class Tracking:
    """The trackers of a call. They are made before the work starts, so that a wrong address is refused early.

    Raises:
        InputError: ``invalid_tracker``.
        NotInstalled: The extra of a tracker is missing.
    """

    def __init__(self, addresses: str | Iterable[str]) -> None:
        self._trackers = trackers_of(addresses)
        self._begun = datetime.now(UTC)
        self._stages: list[TrackedStage] = []

    def add(self, name: StageName, facts: StageFacts) -> None:
        """Keep the curves and figures of a stage, which may have been made by an earlier call."""
        self._stages.append(TrackedStage(name.value, facts.curves, facts.metrics))

    def write(
        self,
        kind: str,
        name: str,
        config: Mapping[str, Any],
        *,
        manifest: Mapping[str, Any] | None = None,
        **tags: str | None,
    ) -> tuple[str, ...]:
        """Write the record. Return a sentence for each tracker that failed, and also raise it as a warning.

        A call with the same options and data replaces the record of the earlier one.
        """
        if not self._trackers:
            return ()
        made = manifest and manifest["sha256"]
        record = record_of(
            f"{kind}-{hashed([config, made, tags])[:16]}",
            name,
            kind=kind,
            state=RunState.FINISHED,
            times=(self._begun, datetime.now(UTC)),
            config=config,
            stages=self._stages,
            manifest=manifest,
            tags=tags,
        )
        return write_everywhere(self._trackers, record)
