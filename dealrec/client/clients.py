"""The two clients of the service: blocking, and for event loops."""

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Generic, Self

from dealrec.client.adapters import Adapters
from dealrec.client.binding import operation
from dealrec.client.choices import Choice, LanguageModel, Layout
from dealrec.client.coresets import Coresets
from dealrec.client.datasets import Datasets, Files, Source, dataset_apart
from dealrec.client.exchange import ask, creating, delete, fetched, new_key, plain, without_none
from dealrec.client.jobs import Config, Jobs, job_body
from dealrec.client.operation import ServerState
from dealrec.client.records import M
from dealrec.client.resources import Job, create_job
from dealrec.client.schedules import Schedules
from dealrec.client.transport import AsyncTransport, BlockingTransport, Server
from dealrec.client.uploads import Uploads
from dealrec.client.webhooks import Webhooks
from dealrec.config import DataOptions
from dealrec.errors import InputError
from dealrec.version import __version__

_AGENT = f"dealrec/{__version__}"
DEFAULT_URL = "http://127.0.0.1:8000"
"""The address that ``dealrec serve`` listens on."""


class Service(Generic[M]):
    """The requests that both clients offer."""

    def __init__(self, transport: M) -> None:
        self.transport = transport
        self.datasets = Datasets(transport)
        self.uploads = Uploads(transport)
        self.jobs = Jobs(transport)
        self.coresets = Coresets(transport)
        self.adapters = Adapters(transport)
        self.schedules = Schedules(transport)
        self.webhooks = Webhooks(transport)

    @operation
    async def prune(
        self,
        interactions: Files | None = None,
        *,
        budget: float | None = None,
        target: float | str | None = None,
        items: Files | None = None,
        samples: Files | None = None,
        config: Config | None = None,
        name: str | None = None,
        data: DataOptions | Mapping[str, Any] | None = None,
        columns: Mapping[str, str] | None = None,
        split: str | None = None,
        metadata: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        progress: bool = False,
    ) -> Job[M]:
        """Send the files and start a job that makes a coreset from them.

        ``samples`` are ready texts; with them, interactions may be left out. ``budget`` is a count, or a
        fraction below 1; ``target`` replaces it as in :meth:`Jobs.create`. ``data`` says how the files
        become a data set; ``columns`` and ``split`` are options of it. Large files are sent in parts:
        ``progress`` shows a bar, and a second attempt by any process sends the missing parts. With an
        ``idempotency_key`` of your own, a second attempt returns the job of the first one, if that made
        one.
        """
        source = Source.of(interactions, items, samples, name, data, columns, split)
        key = idempotency_key or new_key()
        if source.apart:
            dataset = await dataset_apart(
                self.transport, source, f"{key}-dataset", progress=progress
            )
            body = job_body(dataset.id, config, metadata, budget=budget, target=target)
            return await create_job(self.transport, "/v1/jobs", body, f"{key}-job")
        asked = without_none({"budget": budget, "target": target})
        form = source.form() | {name: f"{value}" for name, value in asked.items()}
        form |= _json_fields(config, metadata)
        request = creating("/v1/prune", idempotency_key=key, form=form, files=source.files)
        return Job[M].received(self.transport, (await ask(self.transport, request)).json())

    @operation
    async def models(self) -> list[LanguageModel]:
        """List the language models for ``effort.model`` and ``finetune.model``."""
        answer = await fetched(self.transport, "/v1/models")
        return [LanguageModel.model_validate(entry) for entry in answer["data"]]

    @operation
    async def add_model(
        self,
        name: str,
        repository: str,
        revision: str,
        options: Mapping[str, Any] | None = None,
    ) -> LanguageModel:
        """Add a model from the Hugging Face Hub; needs a key with the scope ``admin``.

        ``options`` are further fields of ``POST /v1/models``, such as ``dtype`` or ``licence``.
        """
        body = {"name": name, "repository": repository, "revision": revision}
        request = creating("/v1/models", {**body, **(options or {})})
        return LanguageModel.model_validate((await ask(self.transport, request)).json())

    @operation
    async def remove_model(self, name: str) -> None:
        """Remove one of the tenant's own language models from the catalogue."""
        await delete(self.transport, f"/v1/models/{name}")

    @operation
    async def server(self) -> ServerState:
        """Fetch the queues, workers and storage of the server; needs a key with the scope ``admin``."""
        return ServerState.model_validate(await fetched(self.transport, "/v1/server"))

    @operation
    async def recommenders(self) -> list[Choice]:
        """List the recommenders for ``finetune.recommender``."""
        answer = await fetched(self.transport, "/v1/recommenders")
        return [Choice.model_validate(entry) for entry in answer["data"]]

    @operation
    async def layouts(self) -> list[Layout]:
        """List the layouts of public data sets for the option ``layout`` of the data."""
        answer = await fetched(self.transport, "/v1/layouts")
        return [Layout.model_validate(entry) for entry in answer["data"]]

    @operation
    async def surrogates(self) -> list[Choice]:
        """List the surrogates for ``surrogate.model``."""
        answer = await fetched(self.transport, "/v1/surrogates")
        return [Choice.model_validate(entry) for entry in answer["data"]]

    @operation
    async def selectors(self) -> list[Choice]:
        """List the selectors for ``selection.method``."""
        answer = await fetched(self.transport, "/v1/selectors")
        return [Choice.model_validate(entry) for entry in answer["data"]]


class Client(Service[BlockingTransport]):
    """The blocking client.

    Every method raises :class:`~dealrec.client.errors.ApiError`.

    Args:
        url: The address of the server.
        key: The API key (``dr_…``); a server on this machine may not need one.
        timeout: The longest time without any data within one response, in seconds.
        retries: How often a request is repeated when no answer came or the server was busy.
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
        """Close the connections."""
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
    """The client for event loops: as :class:`Client`, with methods to be awaited."""

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
        """Close the connections."""
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
            f"{url!r} is not the address of a server; it must begin with http:// or https://.",
            code="invalid_url",
        )
    return Server(url.rstrip("/"), key, timeout, retries)


def _json_fields(config: Config | None, metadata: Mapping[str, str] | None) -> dict[str, str]:
    return without_none(
        {
            "config": None if config is None else json.dumps(plain(config)),
            "metadata": None if metadata is None else json.dumps(dict(metadata)),
        }
    )
