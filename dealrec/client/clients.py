"""The two clients: the same service, blocking or on an event loop."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self

from dealrec.client.adapters import Adapters
from dealrec.client.binding import operation
from dealrec.client.coresets import Coresets
from dealrec.client.datasets import Datasets, Source, dataset_in_parts
from dealrec.client.exchange import ask, creating, new_key, plain, without_none
from dealrec.client.jobs import Config, Jobs, job_body
from dealrec.client.records import Choice, LanguageModel, M
from dealrec.client.resources import Job, create_job
from dealrec.client.transport import AsyncTransport, BlockingTransport, Request, Server
from dealrec.client.uploads import Uploads
from dealrec.errors import InputError
from dealrec.version import __version__

_AGENT = f"dealrec/{__version__}"
DEFAULT_URL = "http://127.0.0.1:8000"
"""Where ``dealrec serve`` listens."""


class Service(Generic[M]):
    """What both clients offer."""

    def __init__(self, transport: M) -> None:
        self.transport = transport
        self.datasets = Datasets(transport)
        self.uploads = Uploads(transport)
        self.jobs = Jobs(transport)
        self.coresets = Coresets(transport)
        self.adapters = Adapters(transport)

    @operation
    async def prune(
        self,
        interactions: str | Path,
        *,
        budget: float,
        items: str | Path | None = None,
        config: Config | None = None,
        name: str | None = None,
        columns: Mapping[str, str] | None = None,
        split: str | None = None,
        metadata: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        progress: bool = False,
    ) -> Job[M]:
        """Send the files and have a coreset made of them.

        ``budget`` is a count, or a fraction below 1. Large files go in parts: ``progress`` shows
        how far they are, and a second attempt, by whatever process, sends what is missing. With an
        ``idempotency_key`` of yours that attempt gives the first one's job, if there is one.
        """
        source = Source.of(interactions, items, name, columns, split)
        key = idempotency_key or new_key()
        if source.large:
            dataset = await dataset_in_parts(
                self.transport, source, f"{key}-dataset", progress=progress
            )
            body = job_body(dataset.id, budget, config, metadata)
            return await create_job(self.transport, "/v1/jobs", body, f"{key}-job")
        form = source.form() | {"budget": f"{budget}"} | _json_fields(config, metadata)
        request = creating("/v1/prune", idempotency_key=key, form=form, files=source.files)
        return Job[M].said(self.transport, (await ask(self.transport, request)).json())

    @operation
    async def models(self) -> list[LanguageModel]:
        """Language models, for ``effort.model`` and ``finetune.model``."""
        answer = await ask(self.transport, Request("GET", "/v1/models"))
        return [LanguageModel.model_validate(entry) for entry in answer.json()["data"]]

    @operation
    async def surrogates(self) -> list[Choice]:
        """Surrogates, for ``surrogate.model``."""
        answer = await ask(self.transport, Request("GET", "/v1/surrogates"))
        return [Choice.model_validate(entry) for entry in answer.json()["data"]]

    @operation
    async def selectors(self) -> list[Choice]:
        """Selectors, for ``selection.method``."""
        answer = await ask(self.transport, Request("GET", "/v1/selectors"))
        return [Choice.model_validate(entry) for entry in answer.json()["data"]]


class Client(Service[BlockingTransport]):
    """The service, one call after the other.

    ``key`` is an API key (``dr_…``), which a service on this machine may do without. ``timeout`` is
    how many seconds it may be silent within an answer, ``retries`` how often a request is sent
    again that found nobody or a server that was busy. Every method raises
    :class:`~dealrec.client.errors.ApiError`.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: str | None = None,
        *,
        timeout: float = 120.0,
        retries: int = 6,
    ) -> None:
        super().__init__(BlockingTransport(_server(url, key, timeout, retries), _AGENT))

    def close(self) -> None:
        """Give the connections back."""
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncClient(Service[AsyncTransport]):
    """The same with methods to be awaited; see :class:`Client`."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        key: str | None = None,
        *,
        timeout: float = 120.0,
        retries: int = 6,
    ) -> None:
        super().__init__(AsyncTransport(_server(url, key, timeout, retries), _AGENT))

    async def close(self) -> None:
        """Give the connections back."""
        await self.transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def _server(url: str, key: str | None, timeout: float, retries: int) -> Server:
    if not url.startswith(("http://", "https://")):
        raise InputError(
            f"{url!r} is no address of a service: it begins with http:// or https://.",
            code="invalid_url",
        )
    return Server(url.rstrip("/"), key, timeout, retries)


def _json_fields(config: Config | None, metadata: Mapping[str, str] | None) -> dict[str, str]:
    fields: dict[str, Any] = {
        "config": None if config is None else json.dumps(plain(config)),
        "metadata": None if metadata is None else json.dumps(dict(metadata)),
    }
    return without_none(fields)
