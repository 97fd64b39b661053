"""ZIP archives: the one table inside, whose bytes are unpacked a piece at a time."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from dealrec.data.detection import file_error

_MEMBERS = 10_000
"""Members that an archive may list."""
_TABLES = (
    *("csv", "tsv", "tab", "txt", "dat", "data", "psv", "item", "inter"),
    *("json", "jsonl", "ndjson", "parquet", "pq"),
)
_BESIDE = ("readme", "license", "licence", "copying", "changelog", "citation")
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError)
"""What the library raises over archives that are damaged, encrypted or packed in a way it lacks."""


def is_workbook(path: Path) -> bool:
    """Whether a file that begins like a ZIP archive is an Excel workbook."""
    try:
        with path.open("rb") as file:
            if file.read(4) != b"PK\x03\x04":
                return False
        with zipfile.ZipFile(path) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except BROKEN:
        return False


class ZipMember:
    """The one table in a ZIP archive."""

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._archive = path, name
        try:
            with zipfile.ZipFile(path) as archive:
                self._member = self._table(archive.infolist())
        except BROKEN:
            raise self._broken() from None
        self.name = PurePosixPath(self._member.filename).name
        """The name of the table inside the archive."""
        self.packed_bytes = self._member.compress_size

    def chunks(self, size: int) -> Iterator[bytes]:
        """Iterate over the unpacked bytes in pieces of up to ``size``.

        Raises:
            InputError: ``corrupt_stream``.
        """
        try:
            with zipfile.ZipFile(self._path) as archive, archive.open(self._member) as file:
                while chunk := file.read(size):
                    yield chunk
        except BROKEN:
            raise self._broken() from None

    def _table(self, members: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
        if len(members) > _MEMBERS:
            raise self._error(
                f"The archive has {len(members):,} files, which are too many to look through. Unpack "
                "it and give the table."
            )
        files = [
            member
            for member in members
            if not member.is_dir() and is_content(PurePosixPath(member.filename))
        ]
        tables = [file for file in files if _suffix(file) in _TABLES] if len(files) > 1 else files
        if len(tables) != 1:
            listed = ", ".join(f"`{file.filename}`" for file in (tables or files)[:8]) or "none"
            raise self._error(
                f"A ZIP archive must hold exactly one table, but {len(tables)} of the {len(files)} "
                f"files in this one look like tables ({listed}). Unpack it and give the table that you "
                "want to use."
            )
        if tables[0].flag_bits & 1:
            raise self._error("The archive is encrypted. Unpack it and give the table inside.")
        return tables[0]

    def _broken(self) -> Exception:
        message = "The ZIP archive is cut short or damaged, or packed in an unusual way."
        return file_error(self._archive, "corrupt_stream", message)

    def _error(self, message: str) -> Exception:
        return file_error(self._archive, "unsupported_format", message)


def is_content(path: PurePosixPath) -> bool:
    """Whether a file in an archive or a folder may be a table: it is not hidden, and no README or licence.

    Names that begin with ``_`` are hidden, too: Spark and macOS leave such files.
    """
    hidden = any(part.startswith((".", "_")) for part in path.parts)
    return not hidden and not path.name.lower().startswith(_BESIDE)


def _suffix(member: zipfile.ZipInfo) -> str:
    return PurePosixPath(member.filename).suffix.lower().removeprefix(".")
