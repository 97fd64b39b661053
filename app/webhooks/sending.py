"""One attempt to deliver a message."""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import anyio
import httpx

from dealrec.app.webhooks.addresses import Network, Target, resolve
from dealrec.errors import InputError
from dealrec.version import __version__

_AGENT = f"DEALRec-Webhooks/{__version__}"
_GONE = 410


@dataclass(frozen=True)
class Attempt:
    """The outcome of an attempt."""

    status: int | None
    error: str | None
    """``None`` where the receiver answered with 2xx."""

    @property
    def gone(self) -> bool:
        """Whether the receiver wants no more messages (410)."""
        return self.status == _GONE


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates that are trusted; loading them takes longer than a delivery."""
    return httpx.create_ssl_context()


def send(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allowed: Sequence[Network],
    seconds: float,
) -> Attempt:
    """Post ``body``; the name's resolution, the connection and the answer take ``seconds`` in all.

    Redirects are not followed, no proxy is used, and of the answer only the status is read.
    """

    async def posted() -> Attempt:
        try:
            with anyio.fail_after(seconds):
                return await _post(await resolve(url, allowed), body, headers, seconds)
        except TimeoutError:
            return Attempt(None, f"no response within {seconds:g} s")
        except InputError as error:
            return Attempt(None, error.detail)
        except (httpx.HTTPError, OSError) as error:
            return Attempt(None, f"{type(error).__name__}: {error}"[:500])

    return anyio.run(posted)


async def _post(target: Target, body: bytes, headers: Mapping[str, str], seconds: float) -> Attempt:
    """Post to the address that was judged, under the name that the URL has."""
    url = httpx.URL(target.url)
    named = {
        **headers,
        "host": url.netloc.decode(),
        "user-agent": _AGENT,
        "content-type": "application/json",
    }
    async with (
        httpx.AsyncClient(
            trust_env=False, follow_redirects=False, timeout=seconds, verify=_trusted()
        ) as http,
        http.stream(
            "POST",
            url.copy_with(host=target.address),
            content=body,
            headers=named,
            extensions={"sni_hostname": target.host},
        ) as answer,
    ):
        if answer.is_success:
            return Attempt(answer.status_code, None)
        reason = (
            "which is a redirect and is not followed"
            if answer.is_redirect
            else "which is not a success"
        )
        return Attempt(answer.status_code, f"the answer was {answer.status_code}, {reason}")
