"""The report of an ingestion: rejected rows and warnings."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from dealrec.config.data import AS_THEY_ARE, DataKind
from dealrec.config.wording import counted
from dealrec.data.appended import Appended, Drift, appended_line, drift_line
from dealrec.data.detection import file_error
from dealrec.data.reasons import MISSING_SHARE, NOTHING_LOST, OTHER_COLUMNS, REASONS
from dealrec.data.tables import ROWS_OF_A_FILE, BadRow
from dealrec.data.titles import CleanTitles
from dealrec.errors import FieldError, InputError

SHOWN = 100
"""The number of rejections that a report lists; all of them are counted."""

Bool = npt.NDArray[np.bool_]


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


class Removal(TypedDict):
    """Interactions that a filter left out although they could be used."""

    filter: str
    """The name of the option."""
    rows: int
    message: str


class FileColumns(TypedDict):
    """The columns of a file, and those that are read."""

    file: str
    columns: list[str]
    """The first names that the file has."""
    read: dict[str, str]
    """Our names to the file's."""
    unused: list[str]
    """The columns that decide nothing; further columns of the items are kept as texts."""


class ExampleRow(TypedDict):
    """An interaction as it is understood."""

    user_id: str
    item_id: str
    title: str | None
    time: str | None
    """A date in UTC, or the number where it is no date."""


class Validation(RowCounts):
    """The sums of an ingestion; the counts are those of the interactions."""

    items: RowCounts | None
    """The counts of the items file, if there is one."""
    samples: NotRequired[RowCounts | None]
    """The counts of the samples file, if there is one; reports of 0.1.0 do not say."""
    appended: NotRequired[Appended | None]
    """What the version added to the one before it; null or missing in a first version. The counts of rows
    are then those of the files that were appended, and ``removed`` is of the whole version."""
    drift: NotRequired[Drift | None]
    """How far the version has moved from the one before it; null or missing in a first version."""
    options: dict[str, Any]
    """The options that were asked for, as :class:`~dealrec.config.DataOptions` has them."""
    removed: list[Removal]
    """The filters that were asked for, in the order in which they were applied."""
    files: list[FileColumns]
    warnings: list[DataWarning]
    read: list[FileReading]
    """How each file was read."""
    kind: NotRequired[str]
    """A :class:`~dealrec.config.data.DataKind`; earlier reports, which do not say, are of interactions."""


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
    ratings: bool
    """Whether ratings are kept."""
    texts: list[str]
    """The names of the items' texts besides the title."""

    examples: list[ExampleRow]
    """The first interactions that were accepted."""
    rejections: list[Rejection]
    """The first ``SHOWN`` rejections of both files."""


def validation_lines(validation: Validation) -> list[str]:
    """Say in plain words how many rows were accepted and rejected, why, and what looked odd."""
    lines = [
        f"{read['file']}: {'; '.join(read['said'])}" for read in validation["read"] if read["said"]
    ]
    lines += [
        f"{file['file']}: these columns are not used: {', '.join(map(_named, file['unused']))}"
        for file in validation["files"]
        if file["unused"]
    ]
    alone = validation.get("kind") == DataKind.TEXTS
    for what, counts in (
        ("interactions", None if alone else validation),
        ("items", validation["items"]),
        ("samples", validation.get("samples")),
    ):
        if counts is None:
            continue
        accepted, rejected = counts["accepted_rows"], counts["rejected_rows"]
        share = f" ({rejected / (accepted + rejected):.1%})" if rejected else ""
        lines.append(f"{what}: {counted(accepted, 'row')} accepted, {rejected:,} rejected{share}")
        for found in counts["reasons"]:
            place = f" The first is {found['first']}." if found["first"] else ""
            lines.append(f"  {found['rows']:,} {found['reason']}: {found['message']}{place}")
    added = validation.get("appended")
    lines += [] if added is None else [appended_line(added)]
    moved = validation.get("drift")
    lines += [] if moved is None else [drift_line(moved)]
    lines += [f"{removal['filter']}: {removal['message']}" for removal in validation["removed"]]
    return lines + [f"warning: {warning['message']}" for warning in validation["warnings"]]


def _named(column: str) -> str:
    return column or "(without a name)"


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
    missing: Counter[str] = field(default_factory=Counter)
    """The number of rejected rows whose value is marked as missing, by column."""
    removed: dict[str, int] = field(default_factory=dict)
    """The number of accepted rows that each filter has removed."""
    repeated: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """The rows that repeat others."""
    replaced: int = 0
    """The number of an earlier version's rows that gave way to repetitions of them."""
    cleaned: int = 0
    """The number of titles whose HTML was removed."""
    cleaned_example: str | None = None

    @property
    def rejected(self) -> int:
        return sum(self.reasons.values())

    def reject(self, rows: Iterable[BadRow], counts: Counter[str] | None = None) -> None:
        """Add rejected rows; ``counts`` by reason are given when ``rows`` are only the first ones."""
        rows = list(rows)
        self.reasons.update(Counter(row.reason for row in rows) if counts is None else counts)
        self.first = sorted([*self.first, *rows], key=lambda row: row.row)[:SHOWN]

    def remove(self, name: str, kept: Bool, passing: Bool) -> Bool:
        """Count the rows among ``kept`` [n] that do not pass a filter, and return those that do."""
        passed: Bool = kept & passing
        self.removed[name] = self.removed.get(name, 0) + int(kept.sum() - passed.sum())
        return passed

    def clean(self, cleaned: CleanTitles) -> pa.Array:
        """Count the titles that were changed, and return all of them."""
        self.cleaned += cleaned.changed
        self.cleaned_example = self.cleaned_example or cleaned.example
        return cleaned.titles

    def repeat(self, repeated: npt.NDArray[np.int64]) -> None:
        """Reject rows (by their number in the file) that repeat other ones.

        A negative number is that of an earlier version's row.
        """
        earlier = int((repeated < 0).sum())
        self.replaced += earlier
        self.repeated = repeated[repeated >= 0]
        self.accepted -= len(self.repeated)
        if len(self.repeated):
            first = [BadRow(int(row), None, "duplicate_row") for row in self.repeated[:SHOWN]]
            self.reject(first, Counter(duplicate_row=len(self.repeated)))

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
        """The warnings about values that are missing, left out or changed."""
        every = self.accepted + self.rejected
        found = [
            warning(
                "missing_values",
                count,
                f"{count:,} of {every:,} rows of {self.name} without a value of `{column}` were left out.",
            )
            for column, count in self.missing.items()
        ]
        found += [
            warning(
                "cells_left_out",
                count,
                f"In {self.name}, {counted(count, 'cell')} of `{column}` ({why}) were left out.",
            )
            for (column, why), count in self.left_out.items()
        ]
        if self.cleaned:
            example = (self.cleaned_example or "")[:60]
            told = (
                f"HTML was removed from {counted(self.cleaned, 'title')} in {self.name}, such as "
                f"`{example}`. `--set data.clean_titles=false` leaves titles as they are."
            )
            found.append(warning("titles_cleaned", self.cleaned, told))
        return found

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
        if self.missing.total() == self.rejected:
            named = " or ".join(f"`{column}`" for column in self.missing)
            why = f"None of them has a value of {named}.{OTHER_COLUMNS.get(code, '')}"
        raise InputError(
            f"None of the {self.rejected:,} rows of {self.name} can be used. {why}",
            code=code,
            errors=[FieldError(self._place(bad), REASONS[bad.reason]) for bad in self.first[:10]],
        )

    def require_left(self) -> None:
        """Check that the filters leave a row; raises :class:`InputError` (``nothing_left``)."""
        if self.accepted > sum(self.removed.values()):
            return
        told = ", ".join(
            f"`{name}` removes {rows:,}" for name, rows in self.removed.items() if rows
        )
        raise InputError(
            f"The filters remove all {self.accepted:,} interactions of {self.name}: {told}. Relax them "
            "(`--set data.…`, or `options` in the request).",
            code="nothing_left",
            errors=[
                FieldError(f"data.{name}", f"removes {rows:,}")
                for name, rows in self.removed.items()
            ],
        )

    def require_allowed(self, share: float) -> None:
        """Check that at most ``share`` of the rows are lost.

        Unless another ``share`` than the default is asked for, ``MISSING_SHARE`` of them may be with the rows
        whose values are marked as missing.

        Raises:
            InputError: ``too_many_rejected``, with the counts by reason and the first rows.
        """
        lost = {name: rows for name, rows in self.reasons.items() if name not in NOTHING_LOST}
        rows, every = sum(lost.values()), self.accepted + self.rejected
        marked = max(share, MISSING_SHARE) if share == AS_THEY_ARE.allowed_rejected else share
        unread = rows - self.missing.total()
        if unread <= share * every and rows <= marked * every:
            return
        share = share if unread > share * every else marked
        told = "; ".join(
            f"{lost[reason]:,} {reason} ({REASONS[reason]})"
            for reason in sorted(lost, key=lambda name: -lost[name])
        )
        enough = math.ceil(100 * rows / every) / 100
        raise InputError(
            f"{rows:,} of the {every:,} rows of {self.name} ({rows / every:.1%}) cannot be used, but at "
            f"most {share:.1%} may be unusable: {told}. Correct the file, or accept the loss "
            f"(`--allow-rejected {enough:g}`, or `allowed_rejected` in the options of the data).",
            code="too_many_rejected",
            title="Too many rows cannot be used",
            errors=[
                FieldError(self._place(bad), REASONS[bad.reason])
                for bad in [bad for bad in self.first if bad.reason in lost][:10]
            ],
        )

    def _file(self, bad: BadRow) -> str:
        return self.files[bad.row // ROWS_OF_A_FILE] if self.files else self.name

    def _place(self, bad: BadRow) -> str:
        place = (self._file(bad), bad.row % ROWS_OF_A_FILE, bad.column)
        return ":".join(str(part) for part in place if part is not None)
