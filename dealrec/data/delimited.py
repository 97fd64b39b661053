"""Delimited text in any dialect, which pyarrow parses one block of whole records at a time."""

import csv
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from dealrec.data.detection import file_error
from dealrec.data.dialects import Dialect
from dealrec.data.quoting import UnclosedQuote, record_ends
from dealrec.data.rewriting import NoStandIn, Rewriter
from dealrec.data.streams import UnpackedFile
from dealrec.data.tables import BadRow, Batch, Int64, chosen, require_unique

_NEWLINE = 10


class DelimitedReader:
    """Reads a table from lines of cells.

    A record is a line. In a strict dialect (that of CSV) it may span lines inside quotes; in the others
    quotes mean something only where they enclose a whole cell, or nowhere.
    """

    def __init__(self, file: UnpackedFile, dialect: Dialect) -> None:
        self.name = file.name
        self.dialect = dialect
        self.lists: Mapping[str, str | None] = dialect.lists
        self._file = file
        self._rewriter = Rewriter(dialect)
        self._mark = dialect.separator.encode()
        self.column_names = list(dialect.names) or self._header()
        self._check_count(len(self.column_names))

    def has(self, name: str) -> bool:
        """See :meth:`dealrec.data.tables.TableReader.has`."""
        return name in self.column_names

    def notes(self) -> list[str]:
        """See :meth:`dealrec.data.tables.TableReader.notes`."""
        comments = self._rewriter.comments
        return [f"{comments:,} lines are comments and were left out"] if comments else []

    def batches(self, columns: Sequence[str], *, others: bool = False) -> Iterator[Batch]:
        """Read text columns; see :meth:`dealrec.data.tables.TableReader.batches`."""
        require_unique(self.name, self.column_names, columns)
        columns = chosen(self.column_names, columns, others=others)
        for block, starts, lines in self._blocks():
            yield self._parse(block, starts, lines, columns)

    def _header(self) -> list[str]:
        for block, ends, _ in self._whole_records():
            start = 0
            for end in ends.tolist():
                if end > start:
                    return [cell.strip() for cell in self._header_cells(block[start:end])]
                start = end + 1
        raise file_error(self.name, "empty_file", "The file is empty.")

    def _header_cells(self, record: bytes) -> list[str]:
        record, mark = self._rewritten(record, -1)
        text, separator = record.decode(), mark.decode()
        if not self.dialect.strict:
            self._check_count(text.count(separator) + 1)
            cells = self._rewriter.cells(pa.array(text.split(separator)), record, mark)
            names: list[str] = cells.to_pylist()
            return names
        try:
            return next(csv.reader([text], delimiter=separator), [])
        except csv.Error:  # a cell of more than 128 KiB, or a line end outside quotes
            raise file_error(
                self.name, "not_tabular", "The first line cannot be read as a header.", "1"
            ) from None

    def _check_count(self, columns: int) -> None:
        if columns > self._file.limits.columns:
            raise file_error(
                self.name,
                "too_many_columns",
                f"The header has {columns:,} columns; at most {self._file.limits.columns:,} are "
                "allowed. Remove the columns that are not needed.",
            )

    def _blocks(self) -> Iterator[tuple[bytes, Int64, Int64]]:
        """Iterate over blocks of whole records after the header: bytes, [n] starts, [n] line numbers."""
        header_seen = not self.dialect.header
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

    def _whole_records(self) -> Iterator[tuple[bytes, Int64, int]]:
        """Iterate over blocks that end with a record: bytes, [n] record ends, number of the first line."""
        rest, line = b"", 1
        for chunk in self._rewriter.chunks(self._file.text_chunks()):
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
            spans = self.dialect.strict and b'"' in block[starts[at] :]
            raise file_error(
                self.name,
                "line_too_long",
                f"The line is longer than the {self._file.limits.line_bytes:,} bytes allowed"
                + (", or a quote in it is never closed." if spans else "."),
                str(line + block.count(b"\n", 0, int(starts[at]))),
            )

    def _record_ends(self, block: bytes, line: int, *, whole: bool = False) -> Int64:
        if not self.dialect.strict:
            return np.flatnonzero(np.frombuffer(block, np.uint8) == _NEWLINE)
        try:
            return record_ends(block, whole=whole, separator=self._mark)
        except UnclosedQuote as quote:
            raise file_error(
                self.name,
                "truncated_stream" if whole else "unclosed_quote",
                "A quote opens a cell in this line and is never closed. Remove it, or put the cell in "
                'quotes and double the quotes inside it (""), as CSV writers do. If quotes have no '
                "meaning in the file, use `--set data.format.quote=none`; if a backslash precedes them, "
                "`--set data.format.escape=backslash` (`item_format` for the items).",
                str(line + block.count(b"\n", 0, quote.at)),
            ) from None

    def _rewritten(self, block: bytes, columns: int) -> tuple[bytes, bytes]:
        try:
            return self._rewriter.block(block, columns)
        except NoStandIn:
            raise file_error(self.name, "not_tabular", "The file is binary, not a table.") from None

    def _parse(self, block: bytes, starts: Int64, lines: Int64, columns: Sequence[str]) -> Batch:
        wrong: list[int] = []

        def skip(row: pa_csv.InvalidRow) -> str:
            wrong.append(row.number - 1)
            return "skip"

        names = [str(index) for index in range(len(self.column_names))]
        original = block
        block, mark = self._rewritten(block, len(names))
        wanted = [names[self.column_names.index(column)] for column in columns]
        try:
            table = pa_csv.read_csv(
                pa.py_buffer(block),
                read_options=pa_csv.ReadOptions(
                    column_names=names, use_threads=False, block_size=len(block) + 1
                ),
                parse_options=pa_csv.ParseOptions(
                    delimiter=mark.decode(),
                    quote_char='"' if self.dialect.strict else False,
                    newlines_in_values=self.dialect.strict,
                    invalid_row_handler=skip,
                ),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), include_columns=wanted
                ),
            )
        except pa.ArrowInvalid:
            raise file_error(
                self.name,
                "not_tabular",
                "The rows cannot be split into cells. Check the separator and the quotes of the file.",
            ) from None
        if table.num_rows + len(wrong) != len(starts):
            raise file_error(
                self.name,
                "not_tabular",
                "The file cannot be split into rows, because its quotes or line ends are not those of "
                "a CSV file. If quotes have no meaning in the file, use `--set "
                "data.format.quote=none`.",
                str(int(lines[0])),
            )
        keep = np.ones(len(starts), bool)
        keep[wrong] = False
        return Batch(
            columns={
                column: self._rewriter.cells(table[index].combine_chunks(), original, mark)
                for column, index in zip(columns, wanted, strict=True)
            },
            rows=lines[keep],
            bad=[BadRow(int(lines[at]), None, "wrong_column_count") for at in wrong],
        )


def _lines_before(block: bytes, starts: Int64) -> Int64:
    """[n] number of line ends before each start."""
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == _NEWLINE)
    return np.searchsorted(ends, starts)
