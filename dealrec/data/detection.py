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


class Format(StrEnum):
    """The format of the unpacked content."""

    CSV = "csv"
    TSV = "tsv"
    RECBOLE = "recbole"
    """A tab-separated file with a header of ``name:type`` columns; quotes have no meaning in it."""
    JSON_LINES = "jsonl"
    PARQUET = "parquet"


_ARCHIVES = {
    b"PK\x03\x04": "a ZIP archive (or a file made of one)",
    b"PK\x05\x06": "an empty ZIP archive",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\x04\x22\x4d\x18": "lz4",
}
_FOREIGN = {
    b"\x93NUMPY": "a NumPy array",
    b"\x80\x02": "a pickle",
    b"\x80\x03": "a pickle",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
    b"%PDF": "a PDF",
    b"\x89PNG": "an image",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "an SQLite database",
    b"ARROW1": "an Arrow file",
    b"ORC": "an ORC file",
    b"\x7fELF": "a program",
    b"\xd0\xcf\x11\xe0": "an Office document",
}
_RECBOLE_COLUMN = re.compile(r"[^:\t]+:(token|token_seq|float|float_seq)")
_CONTROL = re.compile(rb"[\x01-\x08\x0b\x0e-\x1f\x7f]")


def detect_compression(head: bytes) -> Compression:
    """Detect the compression by the magic number of the first bytes."""
    if head.startswith(b"\x1f\x8b"):
        return Compression.GZIP
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return Compression.ZSTD
    return Compression.NONE


def detect_format(head: bytes, name: str) -> Format:
    """Detect the format of unpacked content that begins with ``head`` (up to ``HEAD_BYTES``).

    Raises:
        InputError: ``empty_file``, ``unsupported_format`` (archives, nested compression, JSON
            arrays, other separators), ``not_tabular`` or ``invalid_encoding``.
    """
    _refuse_foreign(head, name)
    if head.startswith(b"PAR1"):
        return Format.PARQUET
    text = head.removeprefix(UTF8_BOM).lstrip(b"\r\n \t")
    if not text:
        raise file_error(name, "empty_file", "The file is empty.")
    _refuse_binary(text, name, whole=len(head) < HEAD_BYTES)
    if text.startswith(b"{"):
        return Format.JSON_LINES
    if text.startswith(b"["):
        raise file_error(
            name, "unsupported_format", "A JSON array cannot be read; write one object a line."
        )
    if text.startswith(b"<"):
        raise file_error(name, "not_tabular", "The file is HTML or XML, not a table.")
    header = re.split(rb"[\r\n]", text, maxsplit=1)[0].decode(errors="replace")
    return _separated(header, name)


def _separated(header: str, name: str) -> Format:
    cells = header.split("\t")
    if all(_RECBOLE_COLUMN.fullmatch(cell.strip()) for cell in cells):
        return Format.RECBOLE
    tabs, commas = header.count("\t"), header.count(",")
    if tabs == commas == 0 and (header.count(";") or header.count("|")):
        raise file_error(
            name, "unsupported_format", "Columns must be separated by commas or by tabs."
        )
    stem = re.sub(r"\.(gz|gzip|zst|zstd)$", "", name.lower())
    tab_by_name = stem.endswith((".tsv", ".tab", ".inter", ".item"))
    return Format.TSV if tabs > commas or (tabs == commas and tab_by_name) else Format.CSV


def _refuse_foreign(head: bytes, name: str) -> None:
    if not head:
        raise file_error(name, "empty_file", "The file is empty.")
    if detect_compression(head) is not Compression.NONE:
        raise file_error(name, "unsupported_format", "The file is compressed more than once.")
    for magic, what in _ARCHIVES.items():
        if head.startswith(magic):
            raise file_error(
                name, "unsupported_format", f"The file is {what}; only gzip and zstd are unpacked."
            )
    if head[257:262] == b"ustar":
        raise file_error(name, "unsupported_format", "The file is a tar archive.")
    for magic, what in _FOREIGN.items():
        if head.startswith(magic):
            raise file_error(name, "not_tabular", f"The file is {what}, not a table.")


def _refuse_binary(text: bytes, name: str, *, whole: bool) -> None:
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise file_error(name, "invalid_encoding", "The file is UTF-16; write it as UTF-8.")
    if b"\x00" in text or len(_CONTROL.findall(text)) > len(text) / 100:
        raise file_error(name, "not_tabular", "The file is binary, not a table.")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        if not whole and error.start >= len(text) - 4:  # the end of the head cuts a character
            return
        line = len(re.findall(rb"\r\n|\r|\n", text[: error.start])) + 1
        raise file_error(name, "invalid_encoding", "The text is not UTF-8.", str(line)) from None


def file_error(name: str, code: str, detail: str, *place: str) -> InputError:
    """Make an error about the file ``name`` as a whole, or about a ``place`` (row, column) in it."""
    location = ":".join([name, *place])
    return InputError(f"{location}: {detail}", code=code, errors=[FieldError(location, detail)])
