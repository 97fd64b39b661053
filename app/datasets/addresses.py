"""Addresses that data sets are read from: those that the operator allows, and what is below them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from dealrec.app.settings import Settings
from dealrec.data.many import file_name
from dealrec.data.remote import fetched
from dealrec.disk import local_source
from dealrec.errors import FieldError, InputError


@dataclass(frozen=True)
class AddressedFile:
    """A file or a folder that is read where it is."""

    address: str
    bytes: ClassVar[int] = 0
    """The file as the service stores it."""

    @property
    def filename(self) -> str:
        """The last part of the address, with the folders before it that say partitions."""
        return file_name(PurePosixPath(urlsplit(self.address).path.rstrip("/") or "data"))[-200:]


def allowed_files(
    settings: Settings, addresses: Sequence[str], location: str
) -> list[AddressedFile]:
    """The files at ``addresses``, which the field ``location`` of a request names.

    Raises:
        InputError: ``address_not_allowed``.
    """
    for at, address in enumerate(addresses):
        if not _is_allowed(settings, address):
            raise _not_allowed(settings, address, f"{location}.{at}")
    return [AddressedFile(address) for address in addresses]


def fetched_allowed(settings: Settings, address: str, folder: Path) -> Path:
    """The local path of what is at ``address``; what is elsewhere is copied into ``folder``.

    Raises:
        InputError: ``address_not_allowed``, also where links lead out of what is allowed; ``no_such_file``,
            ``file_too_large``.
    """
    if not _is_allowed(settings, address):
        raise _not_allowed(settings, address, "address")
    path = fetched(address, folder, most=settings.max_upload_bytes)
    if urlsplit(address).scheme == "file":
        roots = [Path(unquote(urlsplit(root).path)).resolve() for root in _roots(settings, "file")]
        resolved = (inner.resolve() for inner in (path, *path.rglob("*")))
        if not all(any(inner.is_relative_to(root) for root in roots) for inner in resolved):
            raise _not_allowed(settings, address, "address")
    return local_source(path)


def _is_allowed(settings: Settings, address: str) -> bool:
    """Whether an address is plain (no options, names and steps upwards) and begins with an allowed one."""
    url = urlsplit(address)
    path = unquote(url.path)
    if url.query or url.fragment or "@" in url.netloc or any(mark in address for mark in "?#\\"):
        return False
    if {".", ".."} & set(path.split("/")) or not (path + address).isprintable():
        return False
    plain = f"{url.scheme}://{url.netloc}{path}".rstrip("/") + "/"
    roots = [unquote(root).rstrip("/") + "/" for root in _roots(settings, url.scheme)]
    return any(plain.startswith(root) for root in roots)


def _roots(settings: Settings, scheme: str) -> list[str]:
    return [root for root in settings.allowed_addresses if root.startswith(f"{scheme}://")]


def _not_allowed(settings: Settings, address: str, location: str) -> InputError:
    known = ", ".join(settings.allowed_addresses)
    may = f"It reads addresses below {known}." if known else "It reads no addresses."
    return InputError(
        f"This server may not read `{address[:200]}`. {may} Send the file itself, or ask the operator "
        "to allow the address with `DEALREC_ALLOWED_ADDRESSES`.",
        code="address_not_allowed",
        title="The address is not allowed",
        errors=[FieldError(location, "is not an address that this server may read")],
    )
