"""The report of an ingestion: rejected rows and warnings."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypedDict

from dealrec.data.detection import file_error
from dealrec.data.tables import ROWS_OF_A_FILE, BadRow
from dealrec.errors import FieldError, InputError

SHOWN = 100
"""The number of rejections that a report lists; all of them are counted."""

REASONS = {
    "empty_user_id": "The user id is empty.",
    "empty_item_id": "The item id is empty.",
    "unequal_lists": "The lists in the row have different lengths.",
    "invalid_timestamp": "The timestamp is empty, or neither a number nor a date of a known form. "
    "`date_format` names another form, such as %d/%m/%Y.",
    "invalid_position": "The position is not a number.",
    "invalid_split": "The split is not one of train, valid and test. Where the column means something else, "
    "`split` names another way (`--split global_time` or `--split leave_one_out`).",
    "wrong_column_count": "The row has another number of cells than the header. Where the last column holds "
    "separators without quotes, `rest` takes the rest of the line (`--set data.format.rest=true`, "
    "`item_format` for the items).",
    "invalid_json": "The line is not a JSON object.",
    "invalid_value": "The value is neither text nor a number.",
    "invalid_text": "The text holds bytes that are not text in the encoding of the file, or a NUL character.",
    "cell_too_long": "The cell is too long.",
    "duplicate_row": "An earlier row has the same user, item and time or position.",
    "duplicate_item": "Another row of the item is used: the first one with a title.",
}
"""The message of every reason for which a row is rejected; it never quotes the row."""


class Rejection(TypedDict):
    """A rejected row in a report."""

    file: str
    row: int
    """The line, or the row of a Parquet file; from 1."""
    column: str | None
    reason: str
    """A key of ``REASONS``."""
    message: str


class DataWarning(TypedDict):
    """Something to know about a data set that can be used all the same."""

    code: str
    count: int
    """The number of items, users or rows concerned."""
    message: str


def warning(code: str, count: int, message: str) -> DataWarning:
    """Make a warning."""
    return {"code": code, "count": count, "message": message}


class ReasonCount(TypedDict):
    """How many rows of a file are rejected for one reason."""

    reason: str
    """A key of ``REASONS``."""
    rows: int
    message: str
    first: str | None
    """The place of the first row, as ``file:row:column``, if it is among the first rejections."""


class FileReading(TypedDict):
    """What was found about a file when it was read."""

    file: str
    said: list[str]
    """Findings in words: format, layout, encoding, columns, …."""


class RowCounts(TypedDict):
    """The number of accepted and of rejected rows of a file."""

    accepted_rows: int
    rejected_rows: int
    reasons: list[ReasonCount]
    """The most frequent reason comes first."""


class Validation(RowCounts):
    """The sums of an ingestion; the counts are those of the interactions."""

    items: RowCounts | None
    """The counts of the items file, if there is one."""
    warnings: list[DataWarning]
    read: list[FileReading]
    """How each file was read."""


class TimeSpan(TypedDict):
    """The first and the last timestamp of a data set."""

    first: int
    last: int
    unit: str | None
    """A :class:`~dealrec.data.times.TimeUnit`; null where the numbers do not count from 1970."""


class Report(Validation):
    """The report of an ingestion."""

    times: TimeSpan | None
    """Null where the data has no timestamps."""

    rejections: list[Rejection]
    """The first ``SHOWN`` rejections of both files."""


def validation_lines(validation: Validation) -> list[str]:
    """Say in plain words how many rows were accepted and rejected, why, and what looked odd."""
    lines = [
        f"{read['file']}: {'; '.join(read['said'])}" for read in validation["read"] if read["said"]
    ]
    for what, counts in (("interactions", validation), ("items", validation["items"])):
        if counts is None:
            continue
        accepted, rejected = counts["accepted_rows"], counts["rejected_rows"]
        share = f" ({rejected / (accepted + rejected):.1%})" if rejected else ""
        lines.append(f"{what}: {accepted:,} rows accepted, {rejected:,} rejected{share}")
        for found in counts["reasons"]:
            place = f" The first is {found['first']}." if found["first"] else ""
            lines.append(f"  {found['rows']:,} {found['reason']}: {found['message']}{place}")
    return lines + [f"warning: {warning['message']}" for warning in validation["warnings"]]


@dataclass
class FileFindings:
    """The row counts of one file, and its first rejections."""

    name: str
    files: tuple[str, ...] = ()
    """The names of several files; the number of a row says which one it is in."""
    accepted: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: list[BadRow] = field(default_factory=list)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    """The number of cells that were left out of rows that are used, by column and reason."""

    @property
    def rejected(self) -> int:
        return sum(self.reasons.values())

    def reject(self, rows: Iterable[BadRow], counts: Counter[str] | None = None) -> None:
        """Add rejected rows; ``counts`` by reason are given when ``rows`` are only the first ones."""
        rows = list(rows)
        self.reasons.update(Counter(row.reason for row in rows) if counts is None else counts)
        self.first = sorted([*self.first, *rows], key=lambda row: row.row)[:SHOWN]

    def row_counts(self) -> RowCounts:
        """The counts for the report."""
        first = {bad.reason: bad for bad in reversed(self.first)}
        return {
            "accepted_rows": self.accepted,
            "rejected_rows": self.rejected,
            "reasons": [
                {
                    "reason": reason,
                    "rows": rows,
                    "message": REASONS[reason],
                    "first": self._place(first[reason]) if reason in first else None,
                }
                for reason, rows in self.reasons.most_common()
            ],
        }

    def rejections(self) -> list[Rejection]:
        """The first rejections for the report, ordered by row."""
        return [
            {
                "file": self._file(bad),
                "row": bad.row % ROWS_OF_A_FILE,
                "column": bad.column,
                "reason": bad.reason,
                "message": REASONS[bad.reason],
            }
            for bad in self.first
        ]

    def warnings(self) -> list[DataWarning]:
        """The warnings about cells that were left out."""
        return [
            warning(
                "cells_left_out",
                count,
                f"{count:,} cells of `{column}` in {self.name} are {why} and were left out.",
            )
            for (column, why), count in self.left_out.items()
        ]

    def require_rows(self) -> None:
        """Check that a row was accepted.

        Raises:
            InputError: No row was accepted. The code is the reason if all rows have the same one,
                else ``no_valid_rows``, or ``empty_file`` when there are no rows.
        """
        if self.accepted:
            return
        if not self.rejected:
            raise file_error(self.name, "empty_file", "The file has no rows.")
        code = next(iter(self.reasons)) if len(self.reasons) == 1 else "no_valid_rows"
        why = REASONS.get(code, "The rows were rejected for several reasons.")
        raise InputError(
            f"None of the {self.rejected:,} rows of {self.name} can be used. {why}",
            code=code,
            errors=[FieldError(self._place(bad), REASONS[bad.reason]) for bad in self.first[:10]],
        )

    def _file(self, bad: BadRow) -> str:
        return self.files[bad.row // ROWS_OF_A_FILE] if self.files else self.name

    def _place(self, bad: BadRow) -> str:
        place = (self._file(bad), bad.row % ROWS_OF_A_FILE, bad.column)
        return ":".join(str(part) for part in place if part is not None)
