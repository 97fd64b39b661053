"""The files of a data set or of an append, read and checked row by row."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow.compute as pc

from dealrec.config import Column, DataOptions, SplitMethod
from dealrec.data.catalogue import Catalogue, following, read_catalogue
from dealrec.data.findings import FileFindings
from dealrec.data.growth import Before
from dealrec.data.interactions import Interactions, read_interactions, used_columns
from dealrec.data.limits import Limits
from dealrec.data.opening import SourceTable
from dealrec.data.seen import SeenFiles
from dealrec.data.splits import default_method
from dealrec.errors import FieldError, InputError


@dataclass(frozen=True)
class InteractionRows:
    """The file of interactions, read."""

    rows: Interactions
    findings: FileFindings
    columns: Mapping[Column, str]
    method: SplitMethod
    source: SourceTable | None = None
    """``None`` where an append brings items alone."""

    @classmethod
    def read(
        cls, source: SourceTable, options: DataOptions, seen: SeenFiles, limits: Limits
    ) -> "InteractionRows":
        """Read the file; raises :class:`InputError`."""
        method = options.split or default_method(
            has_split=Column.SPLIT in source.columns,
            has_timestamps=Column.TIMESTAMP in source.columns,
        )
        _require_possible(method, source.columns)
        seen.read(used_columns(source.columns, method, options))
        findings = FileFindings(source.name, source.files)
        rows = read_interactions(source, method, findings, limits, options)
        return cls(rows, findings, source.columns, method, source)


@dataclass(frozen=True)
class Read:
    """All rows and items that a data set is made of, those of earlier versions included."""

    rows: Interactions
    catalogue: Catalogue | None
    before: Before | None = None
    """What there was before; ``None`` for a first version."""


class ItemRows:
    """The items file, read."""

    def __init__(
        self, source: SourceTable, options: DataOptions, seen: SeenFiles, limits: Limits
    ) -> None:
        seen.read(source.columns, texts=True)
        self.source = source
        self.findings = FileFindings(source.name, source.files)
        self.catalogue = read_catalogue(
            source.table, source.columns, self.findings, limits, options
        )
        self.findings.require_allowed(options.allowed_rejected)

    def after(self, before: Catalogue | None) -> Catalogue:
        """The items of an earlier version with these; rows of items that have a title count as repeated."""
        if before is None:
            return self.catalogue
        titled = before.item_ids.filter(before.titles.is_valid())
        again = pc.sum(pc.is_in(self.catalogue.item_ids, value_set=titled)).as_py()
        if again:
            self.findings.accepted -= again
            self.findings.reject([], Counter(duplicate_item=again))
        return following(before, self.catalogue)


def _require_possible(method: SplitMethod, found: Mapping[Column, str]) -> None:
    if method is SplitMethod.USERS:
        raise InputError(
            "The split `users` is for texts without ids. For interactions, use `global_time`, "
            "`leave_one_out` or `column` (a column `split` in the file).",
            code="split_not_possible",
            errors=[FieldError("split", "is for texts without ids")],
        )
    needs = {SplitMethod.COLUMN: Column.SPLIT, SplitMethod.GLOBAL_TIME: Column.TIMESTAMP}
    need = needs.get(method)
    if need is not None and need not in found:
        raise InputError(
            (
                f"The split `{method}` needs a `{need}` column, which the interactions do not have. Add "
                "it, or use another split."
            ),
            code="split_not_possible",
            errors=[FieldError("split", f"there is no `{need}` column")],
        )
