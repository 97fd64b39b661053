"""From files to a validated data set, with a report of rejected rows and warnings."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from dealrec.config import Column, DataOptions, Sampling, Split, SplitMethod
from dealrec.config.data import AS_THEY_ARE
from dealrec.data.canonical import canonical_sha256
from dealrec.data.catalogue import Catalogue, join_catalogue, read_catalogue
from dealrec.data.dataset import REPORT, SPLIT_CODES, Dataset
from dealrec.data.findings import (
    SHOWN,
    DataWarning,
    FileFindings,
    FileReading,
    Report,
    TimeSpan,
    warning,
)
from dealrec.data.interactions import Interactions, read_interactions
from dealrec.data.limits import Limits
from dealrec.data.many import Part, parts_of
from dealrec.data.oddities import odd_interactions, odd_items
from dealrec.data.opening import SourceTable, open_interactions, open_items
from dealrec.data.samples import build_samples
from dealrec.data.sequences import Sequences, arrange
from dealrec.data.splits import default_method
from dealrec.data.tables import BadRow
from dealrec.data.times import time_span
from dealrec.errors import FieldError, InputError
from dealrec.progress import SILENT, Reporter


@dataclass(frozen=True)
class IngestResult:
    """A data set, its counts, and the report of its validation."""

    dataset: Dataset
    counts: dict[str, int]
    """The numbers of users, items, interactions, interactions of each split, and samples of both units."""
    report: Report


def ingest(
    interactions: Path | Sequence[Path],
    *,
    interactions_name: str | None = None,
    items: Path | Sequence[Path] | None = None,
    items_name: str | None = None,
    options: DataOptions = AS_THEY_ARE,
    out: Path,
    reporter: Reporter = SILENT,
    limits: Limits | None = None,
) -> IngestResult:
    """Read, check and save a data set, with counts and report in ``out/report.json``.

    Rows that cannot be used are rejected one by one, and so are rows with the user, item and time
    (or position) of an earlier row.

    Args:
        interactions: Files of interactions, or folders of such files.
        interactions_name: Name of a single file in messages; its format follows from content and name.
        items: Items file with titles, if there is one (or several, or a folder).
        items_name: Name of the items file.
        options: How the files become a data set.
        out: Folder that :meth:`Dataset.save` writes to.
        reporter: Gets the progress in bytes.
        limits: Limits on the files.

    Raises:
        InputError: The files cannot be used at all, and nothing is written.
    """
    limits = limits or Limits()
    source = open_interactions(
        _parts(interactions, interactions_name),
        options,
        limits=limits,
        reporter=reporter,
    )
    method = options.split or default_method(
        has_split=Column.SPLIT in source.columns, has_timestamps=Column.TIMESTAMP in source.columns
    )
    _require_possible(method, source.columns)
    rows = FileFindings(source.name, source.files)
    raw = read_interactions(source, method, rows, limits)

    catalogue, item_rows, item_source = None, None, None
    if items is not None:
        item_source = open_items(
            _parts(items, items_name), options, source, limits=limits, reporter=reporter
        )
        item_rows = FileFindings(item_source.name, item_source.files)
        catalogue = read_catalogue(item_source.table, item_source.columns, item_rows, limits)
    joined, known = join_catalogue(raw.item_ids, catalogue)

    sequences = arrange(raw, method)
    _reject_repeated(raw, sequences, rows)
    dataset = _dataset(raw, sequences, joined, method)
    counts = _counts(dataset)
    if not counts["samples_per_user"]:
        raise InputError(
            "No sample can be made, because no user has two interactions in the training split.",
            code="no_samples",
        )
    unknown = len(raw.item_ids) - known if catalogue is not None else 0
    warnings = _warnings(dataset, joined, catalogue, unknown)
    warnings += [
        *rows.warnings(),
        *odd_interactions(rows.name, source.columns, raw, sequences, method),
    ]
    if catalogue is not None and item_rows is not None and item_source is not None:
        odd = odd_items(item_rows.name, item_source.columns, catalogue)
        warnings += [*item_rows.warnings(), *odd]
    read = [said for said in (_said(source), item_source and _said(item_source)) if said]
    report = _report(rows, item_rows, warnings, time_span(dataset), read)
    dataset.save(out)
    text = json.dumps({"counts": counts, "report": report}, ensure_ascii=False, indent=1)
    (out / REPORT).write_text(text)
    return IngestResult(dataset, counts, report)


def _require_possible(method: SplitMethod, found: Mapping[Column, str]) -> None:
    needs = {SplitMethod.COLUMN: Column.SPLIT, SplitMethod.GLOBAL_TIME: Column.TIMESTAMP}
    need = needs.get(method)
    if need is not None and need not in found:
        raise InputError(
            f"The split `{method}` needs a `{need}` column, which the interactions do not have.",
            code="split_not_possible",
            errors=[FieldError("split", f"there is no `{need}` column")],
        )


def _reject_repeated(raw: Interactions, sequences: Sequences, rows: FileFindings) -> None:
    repeated = np.sort(raw.rows[sequences.repeated])
    rows.accepted -= len(repeated)
    rows.reject(
        [BadRow(int(row), None, "duplicate_row") for row in repeated[:SHOWN]],
        Counter(duplicate_row=len(repeated)) if len(repeated) else Counter(),
    )


def _dataset(
    raw: Interactions, sequences: Sequences, joined: Catalogue, method: SplitMethod
) -> Dataset:
    titles = pc.coalesce(joined.titles, joined.item_ids)
    sha256 = canonical_sha256(
        user_ids=raw.user_ids,
        item_ids=joined.item_ids,
        titles=titles,
        item_texts=joined.texts,
        offsets=sequences.offsets,
        items=sequences.items,
        splits=sequences.splits,
        method=method,
        times=sequences.times,
    )
    return Dataset(
        user_ids=raw.user_ids,
        item_ids=joined.item_ids,
        titles=titles,
        item_texts=joined.texts,
        offsets=sequences.offsets,
        items=sequences.items,
        splits=sequences.splits,
        split_method=method,
        sha256=sha256,
        times=sequences.times,
    )


def _counts(dataset: Dataset) -> dict[str, int]:
    parts = np.bincount(dataset.splits, minlength=len(SPLIT_CODES))
    return {
        "users": dataset.n_users,
        "items": dataset.n_items,
        "interactions": dataset.n_interactions,
        **{part.value: int(parts[SPLIT_CODES[part]]) for part in Split},
        "valid_users": dataset.users_asked(Split.VALID),
        "samples_per_user": len(build_samples(dataset, Sampling.PER_USER)),
        "samples_per_interaction": len(build_samples(dataset, Sampling.PER_INTERACTION)),
    }


def _warnings(
    dataset: Dataset, joined: Catalogue, catalogue: Catalogue | None, unknown: int
) -> list[DataWarning]:
    titled = joined.titles.drop_null()
    distinct = pc.count_distinct(titled).as_py() if len(titled) else 0
    single = int((np.diff(dataset.offsets) == 1).sum())
    possible = [
        ("duplicate_titles", len(titled) - distinct, "items share their title with another item"),
        (
            "items_without_title",
            joined.titles.null_count,
            "items have no title; their id stands in",
        ),
        ("users_with_one_item", single, "users have a single interaction and give no sample"),
        ("items_not_in_items_file", unknown, "used items are not in the items file"),
    ]
    if catalogue is None:
        possible[1] = ("no_items_file", dataset.n_items, "items have no title; their id stands in")
    return [warning(code, n, f"{n:,} {text}.") for code, n, text in possible if n]


def _parts(paths: Path | Sequence[Path], name: str | None) -> list[Part]:
    return parts_of([paths] if isinstance(paths, Path) else paths, name)


def _said(source: SourceTable) -> FileReading:
    return {"file": source.name, "said": source.said()}


def _report(
    rows: FileFindings,
    item_rows: FileFindings | None,
    warnings: list[DataWarning],
    times: TimeSpan | None,
    read: list[FileReading],
) -> Report:
    rejections = rows.rejections() + ([] if item_rows is None else item_rows.rejections())
    return {
        **rows.row_counts(),
        "items": None if item_rows is None else item_rows.row_counts(),
        "times": times,
        "rejections": rejections[:SHOWN],
        "warnings": warnings,
        "read": read,
    }
