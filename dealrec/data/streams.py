"""The unpacked bytes of a file, counted and checked, a chunk at a time."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from dealrec.data.detection import HEAD_BYTES, UTF8_BOM, Compression, detect_compression, file_error
from dealrec.data.limits import Limits
from dealrec.progress import Reporter

CHUNK_BYTES = 8 * 2**20
_PACKED_BYTES = 2**18


class UnpackedFile:
    """A file whose unpacked bytes can be read any number of times, each time from the start."""

    def __init__(self, path: Path, name: str, limits: Limits, reporter: Reporter) -> None:
        self.path = path
        self.name = name
        self.limits = limits
        self._reporter = reporter
        with path.open("rb") as file:
            self.compression = detect_compression(file.read(8))
        self.head = self._head()

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
                        f"The content is larger than {self.limits.unpacked_bytes:,} bytes.",
                    )
                self._reporter.progress(min(file.tell(), total), total, "byte")
                yield chunk

    def text_chunks(self) -> Iterator[bytes]:
        """Iterate like :meth:`chunks`, without a byte order mark and with line feeds as line ends.

        Raises:
            InputError: The errors of :meth:`chunks`, and ``not_tabular`` at a NUL byte.
        """
        first, carry, line = True, b"", 1
        for piece in self.chunks():
            chunk = carry + (piece.removeprefix(UTF8_BOM) if first else piece)
            first, carry = False, b""
            if chunk.endswith(b"\r"):
                chunk, carry = chunk[:-1], b"\r"
            if b"\r" in chunk:
                chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            nul = chunk.find(b"\x00")
            if nul >= 0:
                place = str(line + chunk.count(b"\n", 0, nul))
                raise file_error(self.name, "not_tabular", "There is a NUL byte.", place)
            line += chunk.count(b"\n")
            yield chunk
        if carry:
            yield b"\n"

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

    def _gunzip(self, file: BinaryIO, size: int) -> Iterator[bytes]:
        """Unpack the members one after another; like gzip, ignore zeros after the last one."""
        member, packed = zlib.decompressobj(wbits=31), b""
        while True:
            packed = packed or file.read(_PACKED_BYTES)
            if not packed:
                raise self._error("truncated_stream", "The gzip stream is cut short.")
            try:
                chunk = member.decompress(packed, size)
            except zlib.error:
                raise self._error("corrupt_stream", "The gzip stream is damaged.") from None
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
                    raise self._error("truncated_stream", "The zstd stream is cut short.") from None
                raise self._error("corrupt_stream", "The zstd stream is damaged.") from None
            if not chunk:
                return
            yield chunk

    def _error(self, code: str, detail: str) -> Exception:
        return file_error(self.name, code, detail)
