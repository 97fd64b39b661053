"""The rules of adapters."""

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from dealrec.app.kit.errors import NotFound
from dealrec.app.tables.adapters import AdapterRow

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def require_file(adapter: AdapterRow, name: str) -> str:
    """Return the storage key of one file of the adapter; raises :class:`NotFound`."""
    if name not in [file["name"] for file in adapter.files]:
        raise NotFound.of("file", name)
    return f"{adapter.prefix}/{name}"


def write_zip(folder: Path, names: Sequence[str], out: Path) -> None:
    """Pack files of ``folder``; the same files give the same bytes.

    The files are not compressed, because weights hardly compress.
    """
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(names):
            entry = zipfile.ZipInfo(name, _ZIP_TIME)
            entry.external_attr = 0o644 << 16
            with (folder / name).open("rb") as source, archive.open(entry, "w") as target:
                shutil.copyfileobj(source, target, 1024 * 1024)
