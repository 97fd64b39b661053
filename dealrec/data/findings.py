"""What was wrong with rows, and what is worth a warning: the report of an ingestion."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from dealrec.data.detection import file_error
from dealrec.data.tables import BadRow
from dealrec.errors import FieldError, InputError

SHOWN = 100
"""Rejections that a report lists; all of them are counted."""

REASONS = {
    "empty_user_id": "The user id is empty.",
    "empty_item_id": "The item id is empty.",
    "invalid_timestamp": "The timestamp is neither a number nor an ISO 8601 date.",
    "invalid_position": "The position is not a number.",
    "invalid_split": "The split is none of train, valid and test.",
    "wrong_column_count": "The row has another number of cells than the header.",
    "invalid_json": "The line is not a JSON object.",
    "invalid_value": "The value is neither text nor a number.",
    "invalid_text": "The text holds a NUL character, or is not UTF-8.",
    "cell_too_long": "The cell is too long.",
    "duplicate_row": "An earlier row has the same user, item and time or position.",
    "duplicate_item": "An earlier row has the same item.",
}
"""Every reason for which a row is rejected, in words. No row content goes into a message."""


@dataclass
class FileFindings:
    """Counts of one file's rows, and its first rejections."""

    name: str
    accepted: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: list[BadRow] = field(default_factory=list)

    @property
    def rejected(self) -> int:
        return sum(self.reasons.values())

    def reject(self, rows: Iterable[BadRow], counts: Counter[str] | None = None) -> None:
        """Take rejected rows; ``counts`` where ``rows`` are only the first of them."""
        rows = list(rows)
        self.reasons.update(Counter(row.reason for row in rows) if counts is None else counts)
        self.first = sorted([*self.first, *rows], key=lambda row: row.row)[:SHOWN]

    def rejections(self) -> list[dict[str, Any]]:
        """The first rejections by row, as the report has them."""
        return [
            {
                "file": self.name,
                "row": bad.row,
                "column": bad.column,
                "reason": bad.reason,
                "message": REASONS[bad.reason],
            }
            for bad in self.first
        ]

    def require_rows(self) -> None:
        """Raises :class:`InputError` where no row was accepted: with the one reason, if it is one."""
        if self.accepted:
            return
        if not self.rejected:
            raise file_error(self.name, "empty_file", "The file has no rows.")
        code = next(iter(self.reasons)) if len(self.reasons) == 1 else "no_valid_rows"
        why = REASONS.get(code, "The rows were rejected for several reasons.")
        raise InputError(
            f"None of the {self.rejected:,} rows of {self.name} can be used. {why}",
            code=code,
            errors=[
                FieldError(
                    ":".join(str(p) for p in (self.name, bad.row, bad.column) if p is not None),
                    REASONS[bad.reason],
                )
                for bad in self.first[:10]
            ],
        )


def warning(code: str, count: int, message: str) -> dict[str, Any]:
    """One entry of the report's ``warnings``."""
    return {"code": code, "count": count, "message": message}
