"""Addresses that messages may go to: public ones, and networks that the operator allows.

A name is resolved once for each attempt, every address is judged, and the connection goes to the address that
was judged: a name that changes in between (DNS rebinding) reaches nothing else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from socket import SOCK_STREAM
from urllib.parse import urlsplit

import anyio

from dealrec.errors import FieldError, InputError

Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address
_NAT64 = IPv6Network("64:ff9b::/96")
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Target:
    """A URL, and the address that it stands for now."""

    url: str
    host: str
    port: int
    address: str


def require_url(url: str) -> None:
    """Check the form of a URL: ``https`` or ``http``, a host, no user and no fragment.

    Raises:
        InputError: ``invalid_url``.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or "@" in parts.netloc or parts.fragment or not url.isascii() or " " in url:
        raise _refused(
            "invalid_url",
            (
                "The address of a webhook must be like https://example.com/hooks, without a user name or "
                "fragment."
            ),
            "must be an https:// address without a user name or fragment",
        )


async def resolve(url: str, allowed: Sequence[Network]) -> Target:
    """Resolve the host and judge all of its addresses.

    Raises:
        InputError: ``invalid_url``, ``address_not_found`` where the name is not known, and
            ``address_not_allowed`` where any of its addresses, or plain ``http``, is not allowed.
    """
    require_url(url)
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or _PORTS[parts.scheme]
    try:
        found = await anyio.getaddrinfo(host, port, type=SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _refused(
            "address_not_found", f"The name {host!r} cannot be resolved.", "has an unknown host"
        ) from None
    addresses = list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
    for address in addresses:
        own = any(_within(ip_address(address), network) for network in allowed)
        if not own and not (is_public(address) and parts.scheme == "https"):
            raise _not_allowed(parts.scheme, host, address)
    return Target(url, host, port, addresses[0])


def is_public(text: str) -> bool:
    """Whether an address, and the IPv4 address that it may carry, belongs to the public internet."""
    address = ip_address(text)
    inner = _carried(address)
    if inner is not None and not is_public(str(inner)):
        return False
    return address.is_global and not address.is_multicast


def _carried(address: _Address) -> IPv4Address | None:
    """The IPv4 address in an IPv6 address that stands for one (mapped, 6to4, Teredo or NAT64)."""
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return (
        address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1]) or None
    )


def _within(address: _Address, network: Network) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address) in network


def _not_allowed(scheme: str, host: str, address: str) -> InputError:
    what = f"{host} is at {address}, which is not a public address"
    if is_public(address):
        what = f"A public address such as {host} needs https, not {scheme}"
    return _refused(
        "address_not_allowed",
        f"{what}. The operator can allow further networks with `DEALREC_WEBHOOK_NETWORKS`.",
        "is not an address to which messages may be sent",
    )


def _refused(code: str, detail: str, message: str) -> InputError:
    return InputError(
        detail,
        code=code,
        title="The address cannot be used",
        errors=[FieldError("url", message)],
    )
