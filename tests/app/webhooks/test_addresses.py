"""Messages go to public addresses, and to networks that the operator allows; nowhere else."""

import socket
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import anyio
import pytest

from dealrec.app.webhooks.addresses import Target, is_public, require_url, resolve
from dealrec.app.webhooks.sending import send
from dealrec.errors import InputError
from tests.app.webhooks.receiver import Receiver

ALLOWED = (ip_network("10.2.0.0/16"), ip_network("127.0.0.0/8"))


def resolved(url: str, allowed: Any = ()) -> Target:
    return anyio.run(resolve, url, allowed)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Gives names addresses; the calls are listed."""

    def give(*answers: list[str]) -> list[str]:
        asked: list[str] = []
        left = list(answers)

        async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
            asked.append(host)
            found = left.pop(0) if len(left) > 1 else left[0]
            return [(socket.AF_INET, 1, 6, "", (address, port)) for address in found]

        monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
        return asked

    return give


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.2.3.4", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"),
        *("0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00::1", "ff02::1"),
        *("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::ffff:169.254.169.254"),
    ],
)
def test_an_address_that_is_not_public_is_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_a_public_address_is_known(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ftp://example.com", "invalid_url"),
        ("https://", "invalid_url"),
        ("https://user@example.com/", "invalid_url"),
        ("https://example.com/#part", "invalid_url"),
        ("https://example.com:99999/", "invalid_url"),
        ("https://127.0.0.1/", "address_not_allowed"),
        ("https://[::1]/", "address_not_allowed"),
        ("https://2130706433/", "address_not_allowed"),
        ("http://1.1.1.1/", "address_not_allowed"),
        ("https://169.254.169.254/latest/meta-data", "address_not_allowed"),
    ],
)
def test_what_cannot_be_told_is_refused(url: str, code: str) -> None:
    with pytest.raises(InputError) as refused:
        resolved(url)
    assert refused.value.code == code
    assert refused.value.errors[0].location == "url"


def test_an_operator_allows_networks_also_without_tls() -> None:
    assert resolved("http://127.0.0.1:9/x", ALLOWED) == Target(
        "http://127.0.0.1:9/x", "127.0.0.1", 9, "127.0.0.1"
    )
    with pytest.raises(InputError, match="DEALREC_WEBHOOK_NETWORKS"):
        resolved("http://10.3.0.1/", ALLOWED)


def test_one_address_that_is_not_public_refuses_the_name(names) -> None:
    names(["1.1.1.1", "10.0.0.5"])
    with pytest.raises(InputError, match=r"is at 10\.0\.0\.5"):
        resolved("https://mixed.example/")


def test_the_connection_goes_to_the_address_that_was_judged(names, receiver: Receiver) -> None:
    """The second answer of the name would lead elsewhere; it is not asked for."""
    asked = names(["127.0.0.1"], ["192.0.2.1"])
    url = receiver.url.replace("127.0.0.1", "hooks.example")
    made = send(f"{url}/a?b=c", b"{}", {"webhook-id": "m"}, allowed=ALLOWED, seconds=5)
    assert (made.status, made.error) == (204, None)
    assert asked == ["hooks.example"]
    assert receiver.taken[0][0]["host"] == url.removeprefix("http://")


def test_the_form_alone_is_checked_without_a_network() -> None:
    require_url("https://example.com/hooks?token=a")
