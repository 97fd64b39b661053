"""CSV, TSV and RecBole files, which pyarrow parses one block of whole records at a time."""

import csv
import re
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from dealrec.data.detection import Format, file_error
from dealrec.data.streams import UnpackedFile
from dealrec.data.tables import BadRow, Batch, Int64

Bool = npt.NDArray[np.bool_]

_NEWLINE, _QUOTE = 10, 34


class DelimitedReader:
    """Reads a table with a header line and one record a line, or more lines with quoted line ends."""

    def __init__(self, file: UnpackedFile, layout: Format) -> None:
        self.name = file.name
        self._file = file
        self._delimiter = "," if layout is Format.CSV else "\t"
        self._quoted = layout is not Format.RECBOLE
        _, header, _ = next(self._records())
        self.column_names = self._header(header)

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Read text columns; see :meth:`dealrec.data.tables.TableReader.batches`."""
        for block, starts, lines in self._blocks():
            yield self._parse(block, starts, lines, columns)

    def _header(self, record: bytes) -> list[str]:
        try:
            text = record.decode()
        except UnicodeDecodeError:
            raise file_error(self.name, "invalid_encoding", "The text is not UTF-8.", "1") from None
        if self._quoted:
            cells = self._quoted_cells(text)
        else:
            cells = [re.sub(r":\w+$", "", cell) for cell in text.split(self._delimiter)]
        names = [cell.strip() for cell in cells]
        if len(names) > self._file.limits.columns:
            raise file_error(
                self.name,
                "too_many_columns",
                f"The header has {len(names):,} columns; at most {self._file.limits.columns:,} are allowed.",
            )
        for name in names:
            if name and names.count(name) > 1:
                raise file_error(self.name, "duplicate_column", "Two columns have the same name.")
        return names

    def _quoted_cells(self, header: str) -> list[str]:
        try:
            return next(csv.reader([header], delimiter=self._delimiter), [])
        except csv.Error:  # a cell of more than 128 KiB, or a line end outside quotes
            raise file_error(
                self.name, "not_tabular", "The first line cannot be read as a header.", "1"
            ) from None

    def _blocks(self) -> Iterator[tuple[bytes, Int64, Int64]]:
        """Iterate over blocks of whole records after the header: bytes, [n] starts, [n] line numbers."""
        header_seen = False
        line = 1
        for block, ends in self._whole_records():
            starts = np.concatenate([[0], ends[:-1] + 1])
            lines = line + _lines_before(block, starts)
            line += block.count(b"\n")
            filled = ends > starts  # pyarrow skips empty lines, so they are left out here, too
            starts, lines = starts[filled], lines[filled]
            if not header_seen and len(starts):
                header_seen = True
                if len(starts) > 1:
                    yield block[starts[1] :], starts[1:] - starts[1], lines[1:]
            elif len(starts):
                yield block, starts, lines

    def _records(self) -> Iterator[tuple[int, bytes, int]]:
        for block, ends in self._whole_records():
            start = 0
            for end in ends:
                if end > start:
                    yield start, block[start:end], int(end)
                start = int(end) + 1
        raise file_error(self.name, "empty_file", "The file is empty.")

    def _whole_records(self) -> Iterator[tuple[bytes, Int64]]:
        """Iterate over blocks that end with a record: bytes, and [n] positions of record ends."""
        rest = b""
        for chunk in self._file.text_chunks():
            block = rest + chunk
            ends = self._record_ends(block)
            cut = int(ends[-1]) + 1 if len(ends) else 0
            rest = block[cut:]
            self._check_length(ends, len(rest))
            if cut:
                yield block[:cut], ends
        if rest:
            block = rest + b"\n"
            ends = self._record_ends(block)
            if not len(ends) or int(ends[-1]) != len(block) - 1:
                raise file_error(
                    self.name, "truncated_stream", "The file ends inside a quoted cell."
                )
            yield block, ends

    def _check_length(self, ends: Int64, rest: int) -> None:
        longest = max(int(np.diff(ends, prepend=-1).max(initial=0)), rest)
        if longest > self._file.limits.line_bytes:
            raise file_error(
                self.name,
                "line_too_long",
                f"A line is longer than {self._file.limits.line_bytes:,} bytes "
                "(an unclosed quote has the same effect).",
            )

    def _record_ends(self, block: bytes) -> Int64:
        data = np.frombuffer(block, np.uint8)
        ends = np.flatnonzero(data == _NEWLINE)
        if not self._quoted or b'"' not in block:
            return ends
        return ends[~_inside_quotes(block, data, ends, self._delimiter)]

    def _parse(self, block: bytes, starts: Int64, lines: Int64, columns: Sequence[str]) -> Batch:
        wrong: list[int] = []

        def skip(row: pa_csv.InvalidRow) -> str:
            wrong.append(row.number - 1)
            return "skip"

        names = [str(index) for index in range(len(self.column_names))]
        wanted = [names[self.column_names.index(column)] for column in columns]
        try:
            table = pa_csv.read_csv(
                pa.py_buffer(block),
                read_options=pa_csv.ReadOptions(
                    column_names=names, use_threads=False, block_size=len(block) + 1
                ),
                parse_options=pa_csv.ParseOptions(
                    delimiter=self._delimiter,
                    quote_char='"' if self._quoted else False,
                    newlines_in_values=self._quoted,
                    invalid_row_handler=skip,
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), include_columns=wanted
                ),
            )
        except pa.ArrowInvalid:
            raise self._unreadable(block, lines, starts) from None
        keep = np.ones(len(starts), bool)
        keep[wrong] = False
        return Batch(
            columns={
                column: table[index].combine_chunks()
                for column, index in zip(columns, wanted, strict=True)
            },
            rows=lines[keep],
            bad=[BadRow(int(lines[at]), None, "wrong_column_count") for at in wrong],
        )

    def _unreadable(self, block: bytes, lines: Int64, starts: Int64) -> Exception:
        """Make the error of unreadable rows, without the parser's message, since that quotes the row."""
        try:
            block.decode()
        except UnicodeDecodeError as found:
            at = int((starts <= found.start).sum()) - 1
            line = int(lines[max(at, 0)])
            return file_error(self.name, "invalid_encoding", "The text is not UTF-8.", str(line))
        return file_error(self.name, "not_tabular", "The rows cannot be parsed.")


def _lines_before(block: bytes, starts: Int64) -> Int64:
    """[n] number of line ends before each start."""
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == _NEWLINE)
    return np.searchsorted(ends, starts)


def _inside_quotes(block: bytes, data: npt.NDArray[np.uint8], ends: Int64, delimiter: str) -> Bool:
    """[n] whether each line end of ``ends`` lies inside a quoted cell.

    A quote opens a cell only at the cell's start. If every odd quote of the block stands there, or
    right after another quote (an escaped one), it is enough to count quotes. A title such as
    ``5" disc`` breaks that rule, and then the quoted cells are searched one by one.
    """
    quotes = np.flatnonzero(data == _QUOTE)
    before = data[quotes[::2] - 1]
    opens = (before == ord(delimiter)) | (before == _NEWLINE) | (before == _QUOTE)
    opens |= quotes[::2] == 0
    if opens.all():
        inside: Bool = np.searchsorted(quotes, ends) % 2 == 1
        return inside
    cell = re.compile(rb'(?:(?<=[\n%b])|\A)"(?:[^"]|"")*(?:"|\Z)' % re.escape(delimiter.encode()))
    spans = np.array([match.span() for match in cell.finditer(block)], np.int64).reshape(-1, 2)
    if not len(spans):
        return np.zeros(len(ends), bool)
    at = np.searchsorted(spans[:, 0], ends) - 1
    found: Bool = (at >= 0) & (ends < spans[np.maximum(at, 0), 1])
    return found
