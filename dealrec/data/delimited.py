"""CSV, TSV and RecBole files, which pyarrow parses one block of whole records at a time."""

import csv
import re
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from dealrec.data.detection import Format, file_error
from dealrec.data.quoting import UnclosedQuote, hide_tabs, record_ends, unquoted
from dealrec.data.streams import UnpackedFile
from dealrec.data.tables import BadRow, Batch, Int64, chosen

_NEWLINE = 10


class DelimitedReader:
    """Reads a table with a header line.

    A record is a line. In a comma-separated file it may span lines inside quotes. In a tab-separated
    file quotes mean something only where they enclose a whole cell; in a RecBole file, nowhere.
    """

    def __init__(self, file: UnpackedFile, layout: Format) -> None:
        self.name = file.name
        self._file = file
        self._layout = layout
        self._delimiter = "," if layout is Format.CSV else "\t"
        _, header, _ = next(self._records())
        self.column_names = self._header(header)

    def has(self, name: str) -> bool:
        """See :meth:`dealrec.data.tables.TableReader.has`."""
        return name in self.column_names

    def batches(self, columns: Sequence[str], *, others: bool = False) -> Iterator[Batch]:
        """Read text columns; see :meth:`dealrec.data.tables.TableReader.batches`."""
        columns = chosen(self.column_names, columns, others=others)
        for block, starts, lines in self._blocks():
            yield self._parse(block, starts, lines, columns)

    def _header(self, record: bytes) -> list[str]:
        try:
            text = record.decode()
        except UnicodeDecodeError:
            raise file_error(self.name, "invalid_encoding", "The text is not UTF-8.", "1") from None
        match self._layout:
            case Format.CSV:
                cells = self._quoted_cells(text)
            case Format.TSV:
                cells = unquoted(pa.array(text.split("\t"))).to_pylist()
            case _:
                cells = [re.sub(r":\w+$", "", cell) for cell in text.split("\t")]
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
            return next(csv.reader([header]), [])
        except csv.Error:  # a cell of more than 128 KiB, or a line end outside quotes
            raise file_error(
                self.name, "not_tabular", "The first line cannot be read as a header.", "1"
            ) from None

    def _blocks(self) -> Iterator[tuple[bytes, Int64, Int64]]:
        """Iterate over blocks of whole records after the header: bytes, [n] starts, [n] line numbers."""
        header_seen = False
        for block, ends, line in self._whole_records():
            starts = np.concatenate([[0], ends[:-1] + 1])
            lines = line + _lines_before(block, starts)
            filled = ends > starts  # pyarrow skips empty lines, so they are left out here, too
            starts, lines = starts[filled], lines[filled]
            if not header_seen and len(starts):
                header_seen = True
                if len(starts) > 1:
                    yield block[starts[1] :], starts[1:] - starts[1], lines[1:]
            elif len(starts):
                yield block, starts, lines

    def _records(self) -> Iterator[tuple[int, bytes, int]]:
        for block, ends, _ in self._whole_records():
            start = 0
            for end in ends:
                if end > start:
                    yield start, block[start:end], int(end)
                start = int(end) + 1
        raise file_error(self.name, "empty_file", "The file is empty.")

    def _whole_records(self) -> Iterator[tuple[bytes, Int64, int]]:
        """Iterate over blocks that end with a record: bytes, [n] record ends, number of the first line."""
        rest, line = b"", 1
        for chunk in self._file.text_chunks():
            block = rest + chunk
            ends = self._record_ends(block, line)
            cut = int(ends[-1]) + 1 if len(ends) else 0
            rest = block[cut:]
            self._check_length(block, ends, line)
            if cut:
                yield block[:cut], ends, line
                line += block.count(b"\n", 0, cut)
        if rest:
            block = rest + b"\n"
            yield block, self._record_ends(block, line, whole=True), line

    def _check_length(self, block: bytes, ends: Int64, line: int) -> None:
        starts = np.concatenate([[0], ends + 1])
        lengths = np.diff(starts, append=len(block))
        at = int(lengths.argmax())
        if lengths[at] > self._file.limits.line_bytes:
            spans = self._layout is Format.CSV and b'"' in block[starts[at] :]
            raise file_error(
                self.name,
                "line_too_long",
                f"The line is longer than {self._file.limits.line_bytes:,} bytes"
                + (", or a quote in it is never closed." if spans else "."),
                str(line + block.count(b"\n", 0, int(starts[at]))),
            )

    def _record_ends(self, block: bytes, line: int, *, whole: bool = False) -> Int64:
        if self._layout is not Format.CSV:
            return np.flatnonzero(np.frombuffer(block, np.uint8) == _NEWLINE)
        try:
            return record_ends(block, whole=whole)
        except UnclosedQuote as quote:
            raise file_error(
                self.name,
                "truncated_stream" if whole else "unclosed_quote",
                "A quote opens a cell in this line and is never closed. Remove it, or write the cell "
                'between quotes with its own quotes doubled (""), as CSV writers do.',
                str(line + block.count(b"\n", 0, quote.at)),
            ) from None

    def _parse(self, block: bytes, starts: Int64, lines: Int64, columns: Sequence[str]) -> Batch:
        wrong: list[int] = []

        def skip(row: pa_csv.InvalidRow) -> str:
            wrong.append(row.number - 1)
            return "skip"

        names = [str(index) for index in range(len(self.column_names))]
        quoted = self._layout is Format.TSV and b'"' in block
        if quoted:
            block = hide_tabs(block, len(names))
        wanted = [names[self.column_names.index(column)] for column in columns]
        try:
            table = pa_csv.read_csv(
                pa.py_buffer(block),
                read_options=pa_csv.ReadOptions(
                    column_names=names, use_threads=False, block_size=len(block) + 1
                ),
                parse_options=pa_csv.ParseOptions(
                    delimiter=self._delimiter,
                    quote_char='"' if self._layout is Format.CSV else False,
                    newlines_in_values=self._layout is Format.CSV,
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
                column: unquoted(cells) if quoted else cells
                for column, index in zip(columns, wanted, strict=True)
                for cells in [table[index].combine_chunks()]
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
