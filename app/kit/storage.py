"""Stored files, in a local folder or an S3-compatible store."""

import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.store import LocalStore, S3Store

from dealrec.app.settings import Settings

_KEY = re.compile(r"[A-Za-z0-9_.@+=-]+(/[A-Za-z0-9_.@+=-]+)*")
_WRITE_BYTES, _WRITES = 8 * 1024 * 1024, 3
"""The size of a streamed write, and how many of them run at once."""
_READ_BYTES = 2 * 1024 * 1024
"""The size of a streamed read."""


class Storage:
    """Files under keys. The service generates the keys; no name from outside becomes part of one.

    A file becomes visible whole or not at all. The S3 store takes its address and credentials from
    the usual ``AWS_…`` variables.
    """

    def __init__(self, settings: Settings) -> None:
        url = urlsplit(settings.resolved_storage_url)
        self._root: Path | None = None
        self._store: LocalStore | S3Store
        if url.scheme == "file":
            self._root = Path(unquote(url.path)).absolute()
            self._store = LocalStore(self._root, automatic_cleanup=True, mkdir=True)
        elif url.scheme == "s3":
            self._store = S3Store.from_url(settings.resolved_storage_url)
        else:
            raise ValueError(f"storage_url starts with file:// or s3://, not {url.scheme}://")

    def put_file(self, key: str, path: Path) -> None:
        """Store the file at ``path``; it replaces an earlier file in one step."""
        obstore.put(self._store, _checked(key), path)

    def put_stream(self, key: str, pieces: Iterator[bytes]) -> None:
        """Store the bytes of ``pieces`` in bounded memory; if ``pieces`` raises, nothing is stored.

        ``pieces`` may read from this store, because it runs outside the store's own runtime.
        """
        writer = obstore.open_writer(
            self._store, _checked(key), buffer_size=_WRITE_BYTES, max_concurrency=_WRITES
        )
        try:
            for piece in pieces:
                writer.write(piece)
        except BaseException:
            writer.close()
            self.delete_prefix(key)
            raise
        writer.close()

    def put_folder(self, prefix: str, folder: Path) -> int:
        """Store every file below ``folder``, and return their total bytes.

        Raises :class:`OSError` if a stored size differs from the file's.
        """
        total = 0
        for path in sorted(folder.rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            key = f"{prefix}/{path.relative_to(folder).as_posix()}"
            self.put_file(key, path)
            size = path.stat().st_size
            if self.size(key) != size:
                raise OSError(f"{key} was not stored whole")
            total += size
        return total

    def copy(self, prefix: str, target: str, names: tuple[str, ...] | None = None) -> int:
        """Copy the files under ``prefix`` (only ``names``, if given) to ``target``; return their bytes."""
        total = 0
        for entry in self._entries(prefix):
            name = entry["path"].removeprefix(f"{prefix}/")
            if names is None or name in names:
                obstore.copy(self._store, entry["path"], _checked(f"{target}/{name}"))
                total += entry["size"]
        return total

    def copy_file(self, key: str, target: str) -> None:
        """Copy one file within the store; raises :class:`FileNotFoundError`."""
        obstore.copy(self._store, _checked(key), _checked(target))

    def fetch_folder(self, prefix: str, into: Path) -> Path:
        """Return a local folder with the files under ``prefix``, which must only be read.

        The local store returns its own folder; S3 downloads to ``into``.
        """
        if self._root is not None:
            return self._root / _checked(prefix)
        for entry in self._entries(prefix):
            name = _checked(entry["path"].removeprefix(f"{prefix}/"))
            self._download(entry["path"], into / name)
        return into

    def fetch_file(self, key: str, into: Path) -> Path:
        """Return a local file with the content of ``key``, which must only be read; ``into`` is a folder."""
        if self._root is not None:
            return self._root / _checked(key)
        target = into / key.rsplit("/", 1)[-1]
        self._download(_checked(key), target)
        return target

    def stream(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Read the bytes from ``start`` to ``end`` (exclusive) in pieces.

        The call itself raises :class:`FileNotFoundError`, not the first piece.
        """
        size = self.size(key)
        end = size if end is None else min(end, size)
        if start >= end:
            return iter(())
        result = obstore.get(self._store, key, options={"range": (start, end)})
        return (bytes(chunk) for chunk in result.stream(min_chunk_size=_READ_BYTES))

    def size(self, key: str) -> int:
        """Return the number of bytes of ``key``; raises :class:`FileNotFoundError`."""
        return int(obstore.head(self._store, _checked(key))["size"])

    def exists(self, key: str) -> bool:
        try:
            self.size(key)
        except FileNotFoundError:
            return False
        return True

    def delete_prefix(self, prefix: str) -> None:
        """Remove everything under ``prefix`` and the file ``prefix`` itself, if they exist."""
        paths = [entry["path"] for entry in self._entries(prefix)]
        if self.exists(prefix):
            paths.append(prefix)
        for path in paths:
            try:
                obstore.delete(self._store, path)
            except FileNotFoundError:
                continue

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of all files under ``prefix``."""
        return [entry["path"] for entry in self._entries(prefix)]

    def modified(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """Yield the key of every file under ``prefix``, and the time when it was stored (UTC)."""
        for entry in self._entries(prefix):
            yield entry["path"], entry["last_modified"]

    def free_bytes(self) -> int | None:
        """Return the bytes that are free on the disk of the local store; ``None`` for S3."""
        if self._root is None:
            return None
        at = next(path for path in (self._root, *self._root.parents) if path.exists())
        return shutil.disk_usage(at).free

    def check(self) -> None:
        """Raise an exception if the store cannot be reached; readiness calls this."""
        next(iter(obstore.list(self._store, "readiness", chunk_size=1)), None)

    def _entries(self, prefix: str) -> list["obstore.ObjectMeta"]:
        return [entry for batch in obstore.list(self._store, _checked(prefix)) for entry in batch]

    def _download(self, key: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            for chunk in self.stream(key):
                file.write(chunk)


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key) or any(part in (".", "..") for part in key.split("/")):
        raise ValueError("not a storage key of this service")
    return key
