"""Data sets, which are made from files and validated by the server."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from dealrec.client.binding import operation, sequence
from dealrec.client.errors import ApiError
from dealrec.client.exchange import (
    ask,
    creating,
    delete,
    fetched,
    new_key,
    plain,
    rename,
    without_none,
)
from dealrec.client.lists import listed
from dealrec.client.previews import PromptPreview
from dealrec.client.records import Area, M, Progress, Record, Remote, SampleText
from dealrec.client.transport import Request
from dealrec.client.uploads import send_file
from dealrec.client.waiting import until
from dealrec.config import DataOptions, PromptConfig
from dealrec.disk import local_source
from dealrec.errors import InputError
from dealrec.terminal import stage_display

if TYPE_CHECKING:
    from dealrec.data.audit import DatasetShape

IN_PARTS_FROM_BYTES = 64 * 2**20
"""Files that are larger together are sent in parts, so that a broken connection costs one part."""
FILES_OF_A_FORM = 20
"""More files than these are sent one by one."""
Files: TypeAlias = str | Path | Sequence[str | Path]
"""A file, a folder, or several of them; or addresses, such as ``s3://bucket/events``, for the service."""


@dataclass(frozen=True)
class Source:
    """The files of a new data set, and how to read them."""

    files: Sequence[tuple[str, str, Path]]
    """The names in the form (``interactions``, ``items``, ``samples``), the names of the files, and paths."""
    addresses: Mapping[str, Sequence[str]]
    """The addresses of interactions, items and samples that the service reads."""
    name: str | None
    options: Mapping[str, Any]
    """How the files become a data set: the request's ``options``, ``columns`` and ``split``."""

    @classmethod
    def of(
        cls,
        interactions: Files | None,
        items: Files | None,
        samples: Files | None,
        name: str | None,
        data: DataOptions | Mapping[str, Any] | None,
        columns: Mapping[str, str] | None,
        split: str | None,
    ) -> "Source":
        """Check that the files exist.

        Raises:
            InputError: ``no_such_file``, or ``no_data`` where there is nothing to send.
        """
        if interactions is None and samples is None:
            raise InputError("Give interactions, or samples, or both.", code="no_data")
        return cls.of_roles(
            {"interactions": interactions, "items": items, "samples": samples},
            name,
            {
                "options": None if data is None else plain(data),
                "columns": None if columns is None else dict(columns),
                "split": split,
            },
        )

    @classmethod
    def of_roles(
        cls, roles: Mapping[str, Files | None], name: str | None, options: Mapping[str, Any]
    ) -> "Source":
        """Find the files of each role; raises :class:`InputError` (``no_such_file``)."""
        files: list[tuple[str, str, Path]] = []
        addresses: dict[str, Sequence[str]] = {}
        for role, given in roles.items():
            several = [given] if isinstance(given, str | Path) else list(given or ())
            remote = [one for one in several if isinstance(one, str) and "://" in one]
            if remote and len(remote) == len(several):
                addresses[role] = remote
            else:
                files += [(role, *file) for file in _local(several)]
        return cls(files, addresses, name, without_none(options))

    @property
    def apart(self) -> bool:
        """Whether the files are sent apart from the request, or not at all."""
        size = sum(path.stat().st_size for _, _, path in self.files)
        several = len(self.files) > FILES_OF_A_FORM
        return bool(self.addresses) or several or size > IN_PARTS_FROM_BYTES

    def form(self) -> dict[str, str]:
        """The form fields beside the files."""
        texts = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in self.options.items()
        }
        return without_none({"name": self.name, **texts})


def _local(paths: Sequence[str | Path]) -> list[tuple[str, Path]]:
    """The names and paths of files, those in folders included."""
    from dealrec.data.many import parts_of

    return [(part.name, part.path) for part in parts_of([local_source(path) for path in paths])]


class Drift(Record):
    """How far a version has drifted from the one before it. Each figure is between 0 and 1."""

    popularity: float
    """The Jensen-Shannon distance between the distributions of targets, in which newer interactions weigh
    more."""
    new_items: float
    """The share of the items with interactions that had no interactions before."""
    new_item_interactions: float
    """The share of the new interactions that are with such items."""


class Dataset(Remote[M]):
    """A data set; ``counts``, ``report`` and ``sha256`` are set once it is ``ready``."""

    place = "/v1/datasets"
    name: str
    version: int = 1
    """The number of the version: 1, or one more than that of the version to which files were appended."""
    parent_id: str | None = None
    parent_sha256: str | None = None
    """The version to which files were appended, and its content hash."""
    drift: Drift | None = None
    """How far the data have drifted from that version."""
    files: Mapping[str, list[str]] = {}
    """The names of its files by their kind."""
    state: str
    """``validating``, ``ready`` or ``rejected``."""
    progress: Progress | None = None
    """The progress of a running validation, in bytes read."""
    created_at: datetime
    kind: str | None = None
    """``interactions``, or ``texts`` if the samples have no ids of items; ``None`` until it is ready."""
    sha256: str | None = None
    split: str | None = None
    options: Mapping[str, Any] = {}
    """How the files become a data set, as :class:`dealrec.config.DataOptions` has it."""
    counts: Mapping[str, int] | None = None
    report: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    same_content: list[str] | None = None
    """The ids of other data sets of the same content; null in lists."""

    @property
    def validation(self) -> list[str]:
        """Sentences about accepted and rejected rows and anything unusual; empty until validation ends."""
        from dealrec.data.findings import Validation, validation_lines

        if self.report is None or "removed" not in self.report:  # of an older service
            return []
        return validation_lines(cast("Validation", self.report))

    @operation
    async def wait(self, *, timeout: float | None = None, progress: bool = False) -> "Dataset[M]":
        """Wait until the data set is ready; ``progress`` shows its validation on standard error.

        Raises:
            ApiError: The data set's ``error`` when it is rejected, or ``wait_timed_out`` after
                ``timeout`` seconds.
        """
        with stage_display(quiet=not progress) as stages:
            reporter = stages("ingest")

            async def looked_at() -> Dataset[M]:
                dataset = await Dataset[M].fetched(self.transport, self.id)
                if dataset.progress is not None:
                    now = dataset.progress
                    reporter.progress(now.done, now.total, now.unit)
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
        """Iterate over the samples in the words of the prompt; ``sampling`` is ``per_user`` by default."""
        async for entry in listed(self.transport, f"{self.path}/samples", {"sampling": sampling}):
            yield SampleText.model_validate(entry)

    @operation
    async def shape(self) -> "DatasetShape":
        """Fetch interactions over time and by split, lengths of histories, and the popularity of items.

        :func:`dealrec.reports.shape.shape_charts` draws them.
        """
        from dealrec.data.audit import DatasetShape

        return DatasetShape.model_validate(await fetched(self.transport, f"{self.path}/shape"))

    @operation
    async def prompt_preview(
        self,
        prompt: PromptConfig | Mapping[str, Any] | None = None,
        *,
        model: str | None = None,
        max_tokens: int | None = None,
        count: int = 3,
    ) -> PromptPreview:
        """Show some samples in the words of ``prompt``, as a language model reads them."""
        words = None if prompt is None else plain(prompt)
        body = {"prompt": words, "model": model, "max_tokens": max_tokens, "count": count}
        request = Request("POST", f"{self.path}/prompt-preview", json=without_none(body))
        answer = await ask(self.transport, request)
        return PromptPreview.model_validate(answer.json())

    @operation
    async def append(
        self,
        interactions: Files | None = None,
        *,
        items: Files | None = None,
        name: str | None = None,
        data: DataOptions | Mapping[str, Any] | None = None,
        columns: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        progress: bool = False,
    ) -> "Dataset[M]":
        """Append rows, and return the next version; this one stays as it is.

        The service reads only the new files (see :meth:`wait`), with the same options as before. ``data``
        and ``columns`` can say that the new files are written differently.
        """
        if interactions is None and items is None:
            raise InputError("Give interactions, or items, or both.", code="no_data")
        named = None if columns is None else dict(columns)
        options = {"options": None if data is None else plain(data), "columns": named}
        source = Source.of_roles({"interactions": interactions, "items": items}, name, options)
        return await send_source(
            self.transport,
            f"{self.path}/append",
            source,
            idempotency_key or new_key(),
            progress=progress,
        )

    @sequence
    async def versions(self) -> AsyncIterator["Dataset[M]"]:
        """Iterate over all versions of the data set, newest first."""
        async for entry in listed(self.transport, f"{self.path}/versions"):
            yield Dataset[M].received(self.transport, entry)

    @operation
    async def rename(self, name: str) -> "Dataset[M]":
        """Give the data set another name, and return it with that."""
        return Dataset[M].received(self.transport, await rename(self.transport, self.path, name))

    @operation
    async def delete(self, *, cascade: bool = False) -> None:
        """Delete the data set; with ``cascade`` also everything that was made from it."""
        await delete(self.transport, self.path, cascade=cascade)


class Datasets(Area[M]):
    """The data sets of the key's tenant."""

    @operation
    async def create(
        self,
        interactions: Files | None = None,
        *,
        items: Files | None = None,
        samples: Files | None = None,
        name: str | None = None,
        data: DataOptions | Mapping[str, Any] | None = None,
        columns: Mapping[str, str] | None = None,
        split: str | None = None,
        idempotency_key: str | None = None,
        progress: bool = False,
    ) -> Dataset[M]:
        """Send the files; the service then validates them (see :meth:`Dataset.wait`).

        Several files, or the files of a folder, form one table. Addresses such as ``s3://bucket/events``
        are read by the service, if its operator allows them. ``samples`` are ready texts; with them,
        interactions may be left out.

        ``data`` says how the files become a data set; ``columns`` and ``split`` are options of it. Large
        files are sent in parts, and a second attempt by any process sends the missing parts.
        """
        source = Source.of(interactions, items, samples, name, data, columns, split)
        key = idempotency_key or new_key()
        return await send_source(self.transport, "/v1/datasets", source, key, progress=progress)

    @operation
    async def get(self, identifier: str) -> Dataset[M]:
        """Fetch one data set with the report of its validation."""
        return await Dataset[M].fetched(self.transport, identifier)

    @sequence
    async def list(self) -> AsyncIterator[Dataset[M]]:
        """List all data sets, newest first."""
        async for dataset in Dataset[M].listed(self.transport):
            yield dataset


async def send_source(
    transport: M, path: str, source: Source, idempotency_key: str, *, progress: bool
) -> Dataset[M]:
    """Make a data set at ``path``, by one form or, where files are large or many, in parts."""
    if source.apart:
        return await dataset_apart(transport, source, idempotency_key, path=path, progress=progress)
    request = creating(
        path, idempotency_key=idempotency_key, form=source.form(), files=source.files
    )
    return Dataset[M].received(transport, (await ask(transport, request)).json())


async def dataset_apart(
    transport: M,
    source: Source,
    idempotency_key: str,
    *,
    path: str = "/v1/datasets",
    progress: bool,
) -> Dataset[M]:
    """Send the files in parts and make a data set of them and of what is at addresses."""
    body: dict[str, Any] = {
        f"{role}_addresses": list(given) for role, given in source.addresses.items()
    }
    for role, name, file in source.files:
        upload = await send_file(transport, file, name=name, progress=progress)
        body.setdefault(f"{role}_upload_ids", []).append(upload.id)
    body = {**body, **without_none({"name": source.name}), **source.options}
    answer = await ask(transport, creating(path, body, idempotency_key=idempotency_key))
    return Dataset[M].received(transport, answer.json())
