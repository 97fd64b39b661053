"""The format of a file, by its first bytes, and by its name where those leave a choice."""

import re
from enum import StrEnum

from dealrec.errors import FieldError, InputError

HEAD_BYTES = 64 * 2**10
"""The number of unpacked bytes that detection looks at."""

UTF8_BOM = b"\xef\xbb\xbf"


class Compression(StrEnum):
    """The compression of a whole file."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    BZIP2 = "bzip2"
    XZ = "xz"
    ZIP = "zip"


class Format(StrEnum):
    """The format of the unpacked content."""

    DELIMITED = "delimited text"
    JSON = "JSON"
    PARQUET = "Parquet"


_UNPACK = "Unpack it, and give the table inside"
_ARCHIVES = {
    b"PK\x05\x06": "an empty ZIP archive. Give a table",
    b"7z\xbc\xaf\x27\x1c": f"a 7-Zip archive. {_UNPACK}",
    b"Rar!": f"a RAR archive. {_UNPACK}",
    b"\x04\x22\x4d\x18": "compressed with lz4. Unpack it with `lz4 -d`",
}
_PICKLE = (
    "a pickle. Loading one may run any program, so it is not read. Write the table with "
    "`pandas.read_pickle(…).to_parquet(…)`"
)
_FOREIGN = {
    b"\x93NUMPY": "a NumPy array. Write it as CSV or Parquet",
    **dict.fromkeys((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"), _PICKLE),
    b"%PDF": "a PDF. Export the table as CSV",
    b"\x89PNG": "an image. Give a table",
    b"\x89HDF": "an HDF5 file. Write the table with `pandas.read_hdf(…).to_parquet(…)`",
    b"SQLite format 3": "an SQLite database. Export the table as CSV, "
    "with `sqlite3 -header -csv FILE 'SELECT …'`",
    b"ARROW1": "an Arrow (Feather) file. Write the table with `pandas.read_feather(…).to_parquet(…)`",
    b"FEA1": "a Feather file. Write the table with `pandas.read_feather(…).to_parquet(…)`",
    b"Obj\x01": "an Avro file. Write the table as Parquet",
    b"ORC": "an ORC file. Write the table with `pandas.read_orc(…).to_parquet(…)`",
    b"version https://git-lfs": "a pointer of Git LFS. Fetch the file itself with `git lfs pull`",
    b"\x7fELF": "a program. Give a table",
    b"GGUF": "a language model. Give a table",
    b"\xd0\xcf\x11\xe0": "a document in an old Office format. Save it as .xlsx, or as CSV UTF-8",
}
_BINARY = (
    "The file is binary, not a table. If it is text, name its encoding, such as `--set "
    "data.format.encoding=utf-16-le` (`item_format` for the items)."
)
NUL_BYTE = "There is a NUL byte. `tr -d '\\000' <FILE >CLEANED` removes such bytes."
_CONTROL = re.compile(rb"(?<!\x00)[\x02-\x08\x0b\x0e-\x1f\x7f]")
"""^A is left out, because it separates the columns of some files."""


def detect_compression(head: bytes) -> Compression:
    """Detect the compression by the magic number of the first bytes."""
    if head.startswith(b"\x1f\x8b"):
        return Compression.GZIP
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return Compression.ZSTD
    if re.match(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)?", head) and len(head) > 3:
        return Compression.BZIP2
    if head.startswith(b"\xfd7zXZ\x00"):
        return Compression.XZ
    return Compression.ZIP if head.startswith(b"PK\x03\x04") else Compression.NONE


def refuse_foreign(head: bytes, name: str) -> None:
    """Check that unpacked content, of which ``head`` is the first part, may be a table.

    Raises:
        InputError: ``empty_file``, ``unsupported_format`` (archives, nested compression) or ``not_tabular``.
    """
    if not head:
        raise file_error(name, "empty_file", "The file is empty.")
    if detect_compression(head) is not Compression.NONE:
        raise file_error(
            name, "unsupported_format", "The file is compressed more than once. Unpack it first."
        )
    for magic, what in _ARCHIVES.items():
        if head.startswith(magic):
            raise file_error(name, "unsupported_format", f"The file is {what}.")
    if head[257:262] == b"ustar":
        raise file_error(
            name, "unsupported_format", f"The file is a tar archive. {_UNPACK}. `tar xf` does that."
        )
    for magic, what in _FOREIGN.items():
        if head.startswith(magic):
            raise file_error(name, "not_tabular", f"The file is not a table but {what}.")


def detect_format(text: bytes, name: str) -> Format:
    """Detect the format of content that begins with ``text``, in UTF-8 if it is text.

    Raises:
        InputError: ``empty_file`` or ``not_tabular``.
    """
    if text.startswith(b"PAR1"):
        return Format.PARQUET
    whole, text = text, text.lstrip(b"\r\n \t")
    if not text:
        raise file_error(name, "empty_file", "The file is empty.")
    nuls = [found.start() for found in re.finditer(rb"\x00(?!\x05)", text)]
    if len(_CONTROL.findall(text)) + len(nuls) > len(text) / 100:
        raise file_error(name, "not_tabular", _BINARY)
    if nuls:
        place = str(whole.count(b"\n", 0, len(whole) - len(text) + nuls[0]) + 1)
        raise file_error(name, "not_tabular", NUL_BYTE, place)
    if text.startswith((b"{", b"[")):
        return Format.JSON
    if text.startswith(b"<"):
        raise file_error(
            name,
            "not_tabular",
            "The file is HTML or XML, not a table. Perhaps a web page was saved instead of the file.",
        )
    return Format.DELIMITED


def file_error(name: str, code: str, detail: str, *place: str) -> InputError:
    """Make an error about the file ``name`` as a whole, or about a ``place`` (row, column) in it."""
    location = ":".join([name, *place])
    return InputError(f"{location}: {detail}", code=code, errors=[FieldError(location, detail)])
