"""Data sets: made of files, validated by the service, and read as the language model will."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from dealrec.client.binding import operation, sequence
from dealrec.client.errors import ApiError
from dealrec.client.exchange import ask, creating, delete, new_key, without_none
from dealrec.client.files import local_file
from dealrec.client.lists import listed
from dealrec.client.records import Area, M, Progress, Remote, SampleText
from dealrec.client.transport import Request
from dealrec.client.uploads import send_file
from dealrec.client.waiting import until
from dealrec.terminal import stage_display

IN_PARTS_FROM_BYTES = 64 * 2**20
"""Files that have more together are sent in parts, so that a broken line costs one part only."""


@dataclass(frozen=True)
class Source:
    """Files to make a data set of, and how to read them."""

    interactions: Path
    items: Path | None
    name: str | None
    columns: Mapping[str, str] | None
    """Our names to the file's."""
    split: str | None

    @classmethod
    def of(
        cls,
        interactions: str | Path,
        items: str | Path | None,
        name: str | None,
        columns: Mapping[str, str] | None,
        split: str | None,
    ) -> "Source":
        """Raises :class:`~dealrec.errors.InputError` (``no_such_file``)."""
        catalogue = None if items is None else local_file(items)
        return cls(local_file(interactions), catalogue, name, columns, split)

    @property
    def files(self) -> dict[str, Path]:
        """By their names in the form."""
        return without_none({"interactions": self.interactions, "items": self.items})

    @property
    def large(self) -> bool:
        """Whether it goes in parts."""
        return sum(path.stat().st_size for path in self.files.values()) > IN_PARTS_FROM_BYTES

    def form(self) -> dict[str, str]:
        """The fields beside the files."""
        columns = None if self.columns is None else json.dumps(dict(self.columns))
        return without_none({"name": self.name, "columns": columns, "split": self.split})


class Dataset(Remote[M]):
    """A data set; ``counts``, ``report`` and ``sha256`` are there once it is ``ready``."""

    id: str
    object: str
    name: str
    state: str
    """``validating``, ``ready`` or ``rejected``."""
    progress: Progress | None = None
    """Of the validation while it runs, in bytes read."""
    created_at: datetime
    sha256: str | None = None
    split: str | None = None
    counts: Mapping[str, int] | None = None
    report: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None

    @operation
    async def wait(self, *, timeout: float | None = None, progress: bool = False) -> "Dataset[M]":
        """The data set once it is ready; ``progress`` shows its validation on standard error.

        Raises :class:`ApiError` with its ``error`` where it is rejected, and ``wait_timed_out``.
        """
        with stage_display(quiet=not progress) as stages:
            reporter = stages("ingest")

            async def looked_at() -> Dataset[M]:
                dataset = await fetch_dataset(self.transport, self.id)
                if dataset.progress is not None:
                    told = dataset.progress
                    reporter.progress(told.done, told.total, told.unit)
                return dataset

            found = await until(
                self.transport,
                looked_at,
                lambda dataset: dataset.state != "validating",
                what=f"The validation of {self.id}",
                timeout=timeout,
            )
        if found.error is not None:
            raise ApiError.of(found.error)
        return found

    @sequence
    async def samples(self, sampling: str | None = None) -> AsyncIterator[SampleText]:
        """The samples as the language model will read them; ``per_user`` unless told otherwise."""
        path = f"/v1/datasets/{self.id}/samples"
        async for entry in listed(self.transport, path, {"sampling": sampling}):
            yield SampleText.model_validate(entry)

    @operation
    async def delete(self, *, cascade: bool = False) -> None:
        """Delete a data set that nothing depends on, or with it everything that was made of it."""
        await delete(self.transport, f"/v1/datasets/{self.id}", cascade=cascade)


class Datasets(Area[M]):
    """Data sets of this key's tenant."""

    @operation
    async def create(
        self,
        interactions: str | Path,
        *,
        items: str | Path | None = None,
        name: str | None = None,
        columns: Mapping[str, str] | None = None,
        split: str | None = None,
        idempotency_key: str | None = None,
        progress: bool = False,
    ) -> Dataset[M]:
        """Send the files; validation goes on after that (:meth:`Dataset.wait`).

        Large files go in parts, and a second attempt, by whatever process, sends what is missing.
        """
        source = Source.of(interactions, items, name, columns, split)
        key = idempotency_key or new_key()
        if source.large:
            return await dataset_in_parts(self.transport, source, key, progress=progress)
        request = creating(
            "/v1/datasets", idempotency_key=key, form=source.form(), files=source.files
        )
        return Dataset[M].said(self.transport, (await ask(self.transport, request)).json())

    @operation
    async def get(self, identifier: str) -> Dataset[M]:
        """One data set, with the report of its validation."""
        return await fetch_dataset(self.transport, identifier)

    @sequence
    async def list(self) -> AsyncIterator[Dataset[M]]:
        """All data sets, newest first."""
        async for entry in listed(self.transport, "/v1/datasets"):
            yield Dataset[M].said(self.transport, entry)


async def fetch_dataset(transport: M, identifier: str) -> Dataset[M]:
    """The data set as it is now."""
    answer = await ask(transport, Request("GET", f"/v1/datasets/{identifier}"))
    return Dataset[M].said(transport, answer.json())


async def dataset_in_parts(
    transport: M, source: Source, idempotency_key: str, *, progress: bool
) -> Dataset[M]:
    """Make a data set of files that are sent in parts."""
    body = {
        f"{name}_upload_id": (await send_file(transport, path, progress=progress)).id
        for name, path in source.files.items()
    }
    body |= without_none({"name": source.name, "columns": source.columns, "split": source.split})
    answer = await ask(transport, creating("/v1/datasets", body, idempotency_key=idempotency_key))
    return Dataset[M].said(transport, answer.json())
