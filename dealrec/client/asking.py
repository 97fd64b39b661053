"""The parts that commands for a server share: its address, its key, and a first check that it answers."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dealrec.terminal import tell

if TYPE_CHECKING:
    from dealrec.client.clients import Client
    from dealrec.client.records import OptionNote, Record

DEFAULT_SERVER = "http://127.0.0.1:8000"
_REACH_SECONDS = 3.0
_PAUSE_SECONDS = 0.5

ServerOption = Annotated[
    str, typer.Option("--server", envvar="DEALREC_SERVER", help="Address of the server.")
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="DEALREC_KEY",
        help="API key. The environment variable keeps it out of the command history.",
    ),
]
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Id of a job (job_…).")]


def asking(server: str, key: str | None) -> "Client":
    """Make a client of ``server``, which the caller closes.

    Raises:
        ApiError: ``no_answer`` if nobody has answered for three seconds. Once the server has answered,
            the client waits like any other, so that a restart of the server ends no command.
    """
    from dealrec.client.clients import Client

    client = Client(server, key)
    try:
        _reach(client.transport.server.url)
    except BaseException:
        client.close()
        raise
    return client


def _reach(url: str) -> None:
    """Try to connect for three seconds, and say so after the first failure."""
    import httpx

    from dealrec.client.errors import ApiError

    begun, told = time.monotonic(), False
    while True:
        left = _REACH_SECONDS - (time.monotonic() - begun)
        try:
            httpx.get(
                f"{url}/healthz", timeout=httpx.Timeout(_REACH_SECONDS, connect=max(0.1, left))
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            left = _REACH_SECONDS - (time.monotonic() - begun)
            if left <= _PAUSE_SECONDS:
                raise ApiError.no_answer(error, url) from None
            if not told:
                tell(f"{url} does not answer; trying again for {_REACH_SECONDS:g} s.")
            told = True
            time.sleep(_PAUSE_SECONDS)
        except httpx.TransportError:
            return  # it took the connection; a slow or broken answer is the request's own matter
        else:
            return


def tell_warnings(warnings: "Iterable[OptionNote]") -> None:
    """Write the warnings of options to standard error."""
    for warning in warnings:
        tell(f"warning: {warning.told}")


def plain_record(record: "Record") -> dict[str, Any]:
    """The record as JSON, for ``--json``."""
    return record.model_dump(mode="json")
