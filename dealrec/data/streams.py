"""The unpacked bytes of a file, counted and checked, a chunk at a time."""

import bz2
import codecs
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from dealrec.data.archives import ZipMember
from dealrec.data.detection import (
    HEAD_BYTES,
    NUL_BYTE,
    UTF8_BOM,
    Compression,
    detect_compression,
    file_error,
)
from dealrec.data.encodings import INVALID, Decoder, Survey, marked_encoding
from dealrec.data.limits import Limits
from dealrec.progress import Reporter

CHUNK_BYTES = 8 * 2**20
_PACKED_BYTES = 2**18
_XZ_MEMORY = 2**27
"""What unpacking xz may take; its strongest preset takes 65 MiB."""
_NUL = re.compile(rb"\x00(?!\x05)")
"""A NUL byte that is not the beginning of ``INVALID``."""


class UnpackedFile:
    """A file whose unpacked bytes can be read any number of times, each time from the start."""

    def __init__(
        self,
        path: Path,
        name: str,
        limits: Limits,
        reporter: Reporter,
        encoding: str | None = None,
    ) -> None:
        self.path = path
        self.name = name
        self.limits = limits
        self._reporter = reporter
        with path.open("rb") as file:
            self.compression = detect_compression(file.read(8))
        self._member = ZipMember(path, name) if self.compression is Compression.ZIP else None
        self.table_name = self._member.name if self._member else name
        """The name of the table, which stands inside an archive under a name of its own."""
        self.head = self._head()
        self.encoding = encoding or marked_encoding(self.head)
        """The encoding of the text, as far as it is known: ``None`` until bytes that are not ASCII come."""
        self.surveyed: Survey | None = None
        """The lines beyond ASCII, once some of them are not UTF-8."""

    def chunks(self) -> Iterator[bytes]:
        """Iterate over the unpacked content in pieces of up to about ``CHUNK_BYTES``.

        Raises:
            InputError: ``truncated_stream``, ``corrupt_stream`` or ``file_too_large``.
        """
        total, done = self.path.stat().st_size, 0
        with self.path.open("rb") as file:
            for chunk in self._unpack(file):
                done += len(chunk)
                if done > self.limits.unpacked_bytes:
                    raise self._error(
                        "file_too_large",
                        (
                            f"The file is larger than {self.limits.unpacked_bytes:,} bytes after "
                            "unpacking. Split it into several files."
                        ),
                    )
                self._reporter.progress(min(file.tell(), total), total, "byte")
                yield chunk

    def text_chunks(self) -> Iterator[bytes]:
        """Iterate like :meth:`chunks`, in UTF-8, without a mark in front and with line feeds as line ends.

        Bytes that the encoding lacks become ``INVALID``.

        Raises:
            InputError: The errors of :meth:`chunks`, ``not_tabular`` at a NUL byte, and
                ``invalid_encoding`` where several encodings are possible.
        """
        first, carry, line = True, b"", 1
        for piece in self._decoded():
            chunk = carry + (piece.removeprefix(UTF8_BOM) if first else piece)
            first, carry = False, b""
            if chunk.endswith(b"\r"):
                chunk, carry = chunk[:-1], b"\r"
            if b"\r" in chunk:
                chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            nul = _NUL.search(chunk) if b"\x00" in chunk else None
            if nul:
                place = str(line + chunk.count(b"\n", 0, nul.start()))
                raise file_error(self.name, "not_tabular", NUL_BYTE, place)
            line += chunk.count(b"\n")
            yield chunk
        if carry:
            yield b"\n"

    def numbered_lines(self) -> Iterator[tuple[list[str], int]]:
        """Iterate over groups of lines, each with the number of its first line from 1.

        Raises:
            InputError: The errors of :meth:`text_chunks`, and ``line_too_long``.
        """
        rest, number = b"", 1
        for chunk in self.text_chunks():
            *lines, rest = (rest + chunk).split(b"\n")
            if max(map(len, [*lines, rest])) > self.limits.line_bytes:
                message = (
                    f"A line is longer than {self.limits.line_bytes:,} bytes, which is the limit."
                )
                raise self._error("line_too_long", message)
            yield [line.decode() for line in lines], number
            number += len(lines)
        if rest:
            yield [rest.decode()], number

    def text_head(self) -> bytes:
        """The first bytes, as :meth:`text_chunks` gives them."""
        head = self.head
        if self.encoding is None and not head.isascii():
            try:
                codecs.utf_8_decode(head, "strict", False)
            except UnicodeDecodeError:
                self.encoding = self._surveyed_encoding()
        decoded = Decoder(self.name, self.encoding or "utf-8").feed(head).removeprefix(UTF8_BOM)
        return decoded.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _decoded(self) -> Iterator[bytes]:
        """Pass ASCII and UTF-8 through; decide on the encoding at the first bytes that are neither."""
        decoder = (
            Decoder(self.name, self.encoding) if self.encoding not in (None, "utf-8") else None
        )
        rest = b""
        for piece in self.chunks():
            if decoder is not None:
                yield decoder.feed(piece)
                continue
            chunk = rest + piece
            rest = b""
            if chunk.isascii():
                yield chunk
                continue
            try:
                _, complete = codecs.utf_8_decode(chunk, "strict", False)
            except UnicodeDecodeError:
                self.encoding = self.encoding or self._surveyed_encoding()
                decoder = Decoder(self.name, self.encoding)
                yield decoder.feed(chunk)
            else:
                self.encoding = self.encoding or "utf-8"
                rest = chunk[complete:]
                yield chunk[:complete]
        if decoder is not None:
            yield decoder.feed(b"", final=True)
        elif rest:
            yield INVALID.encode()

    def _surveyed_encoding(self) -> str:
        self.surveyed = Survey(self.chunks())
        possible = self.surveyed.encodings()
        if len(possible) > 1 and self.surveyed.invalid > 1:
            raise file_error(
                self.name,
                "invalid_encoding",
                f"The text is not UTF-8. It may be {' or '.join(possible)}; set the right encoding, "
                f"such as `--set data.format.encoding={possible[0]}` (`item_format` for the items).",
                str(self.surveyed.first_line),
            )
        return possible[0] if possible and self.surveyed.invalid > 1 else "utf-8"

    def _head(self) -> bytes:
        head = b""
        with self.path.open("rb") as file:
            for chunk in self._unpack(file, HEAD_BYTES):
                head += chunk
                if len(head) >= HEAD_BYTES:
                    break
        return head[:HEAD_BYTES]

    def _unpack(self, file: BinaryIO, size: int = CHUNK_BYTES) -> Iterator[bytes]:
        match self.compression:
            case Compression.NONE:
                while chunk := file.read(size):
                    yield chunk
            case Compression.GZIP:
                yield from self._gunzip(file, size)
            case Compression.ZSTD:
                yield from self._unzstd(file, size)
            case Compression.BZIP2:
                yield from self._streams(file, size, bz2.BZ2Decompressor)
            case Compression.XZ:
                yield from self._streams(file, size, _xz)
            case Compression.ZIP:
                assert self._member is not None
                yield from self._member.chunks(size)

    def _gunzip(self, file: BinaryIO, size: int) -> Iterator[bytes]:
        """Unpack the members one after another; like gzip, ignore zeros after the last one."""
        member, packed = zlib.decompressobj(wbits=31), b""
        while True:
            packed = packed or file.read(_PACKED_BYTES)
            if not packed:
                raise self._error(
                    "truncated_stream",
                    "The gzip stream is cut short. Copy or compress the file again.",
                )
            try:
                chunk = member.decompress(packed, size)
            except zlib.error:
                raise self._error(
                    "corrupt_stream", "The gzip stream is damaged. Copy or compress the file again."
                ) from None
            if chunk:
                yield chunk
            packed = member.unconsumed_tail
            if member.eof:
                packed = member.unused_data.lstrip(b"\x00")
                while not packed and (more := file.read(_PACKED_BYTES)):
                    packed = more.lstrip(b"\x00")
                if not packed:
                    return
                member = zlib.decompressobj(wbits=31)

    def _unzstd(self, file: BinaryIO, size: int) -> Iterator[bytes]:
        stream = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
        while True:
            try:
                chunk = stream.read(size)
            except OSError as error:
                if "Truncated" in str(error):
                    raise self._error(
                        "truncated_stream",
                        "The zstd stream is cut short. Copy or compress the file again.",
                    ) from None
                raise self._error(
                    "corrupt_stream", "The zstd stream is damaged. Copy or compress the file again."
                ) from None
            if not chunk:
                return
            yield chunk

    def _streams(
        self,
        file: BinaryIO,
        size: int,
        unpacker: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor],
    ) -> Iterator[bytes]:
        """Unpack the streams one after another, as parallel packers write several of them.

        Zeros between and after them are left out, with which xz pads its streams.
        """
        stream, packed, kind = unpacker(), b"", self.compression
        while True:
            if stream.needs_input and not packed:
                packed = file.read(_PACKED_BYTES)
                if not packed:
                    raise self._error(
                        "truncated_stream",
                        f"The {kind} stream is cut short. Copy or compress the file again.",
                    )
            try:
                chunk = stream.decompress(packed, size)
            except (OSError, lzma.LZMAError):
                raise self._error(
                    "corrupt_stream",
                    f"The {kind} stream is damaged. Copy or compress the file again.",
                ) from None
            packed = b""
            if chunk:
                yield chunk
            if stream.eof:
                packed = stream.unused_data.lstrip(b"\x00")
                while not packed and (more := file.read(_PACKED_BYTES)):
                    packed = more.lstrip(b"\x00")
                if not packed:
                    return
                stream = unpacker()

    def _error(self, code: str, detail: str) -> Exception:
        return file_error(self.name, code, detail)


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
