"""From files to a validated data set, with a report of rejected rows and warnings."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dealrec.config import Column, DataOptions, Sampling, Split, SplitMethod
from dealrec.config.data import AS_THEY_ARE, DataKind
from dealrec.config.formats import SEPARATORS
from dealrec.config.stages.plan import count_samples
from dealrec.config.wording import counted
from dealrec.data.canonical import canonical_sha256
from dealrec.data.catalogue import Catalogue, join_catalogue
from dealrec.data.dataset import REPORT, SPLIT_CODES, Dataset
from dealrec.data.drift import drift
from dealrec.data.files_read import InteractionRows, ItemRows, Read
from dealrec.data.filters import filtered, removals
from dealrec.data.findings import (
    SHOWN,
    DataWarning,
    FileReading,
    Report,
    warning,
)
from dealrec.data.given import GivenSamples
from dealrec.data.given_rows import GivenRows, read_given
from dealrec.data.growth import Growth
from dealrec.data.inspection import example_rows
from dealrec.data.interactions import Interactions
from dealrec.data.limits import Limits
from dealrec.data.many import Part, parts_of
from dealrec.data.oddities import is_rounded, odd_interactions, odd_items, unknown_items
from dealrec.data.opening import SourceTable, open_interactions, open_items
from dealrec.data.samples import train_lengths
from dealrec.data.seen import SeenFiles
from dealrec.data.sequences import Sequences, arrange
from dealrec.data.texts_alone import require_alone, text_counts, text_report, texts_dataset
from dealrec.data.times import time_span
from dealrec.errors import FieldError, InputError
from dealrec.progress import SILENT, Reporter

FROM_SAMPLES = "the interactions that the samples name"
"""What stands in messages for the name of a file that nobody gave."""


@dataclass(frozen=True)
class IngestResult:
    """A data set, its counts, and the report of its validation."""

    dataset: Dataset
    counts: dict[str, int]
    """The numbers of users, items, interactions, interactions of each split, and samples of both units."""
    report: Report


def ingest(
    interactions: Path | Sequence[Path] | None,
    *,
    interactions_names: Sequence[str] | None = None,
    items: Path | Sequence[Path] | None = None,
    items_names: Sequence[str] | None = None,
    renamed: Mapping[str, Sequence[Mapping[str, str]]] | None = None,
    samples: Path | Sequence[Path] | None = None,
    samples_names: Sequence[str] | None = None,
    options: DataOptions = AS_THEY_ARE,
    out: Path,
    reporter: Reporter = SILENT,
    limits: Limits | None = None,
) -> IngestResult:
    """Read, check and save a data set, with counts and report in ``out/report.json``.

    Rows that cannot be used are rejected one by one, and so are rows with the user, item and time
    (or position) of an earlier row.

    Args:
        interactions: Files of interactions, or folders of such files. Where there are only samples, it
            is ``None``, and the interactions are made of the items that the samples name; where these
            name none, the data set is of texts alone.
        interactions_names: Their names in messages; the format of a file follows from content and name.
        items: Items file with titles, if there is one (or several, or a folder).
        items_names: Their names.
        renamed: For files of ``interactions`` or ``items`` that name their columns otherwise than the
            others: for each path the names in the common table by those in the file.
        samples: Samples with texts of their own, if there are any.
        samples_names: Their names.
        options: How the files become a data set.
        out: Folder that :meth:`Dataset.save` writes to.
        reporter: Gets the progress in bytes.
        limits: Limits on the files.

    Raises:
        InputError: The files cannot be used at all, and nothing is written.
    """
    limits, seen = limits or Limits(), SeenFiles()
    with seen.told(), tempfile.TemporaryDirectory(prefix="dealrec-") as scratch:
        given = None
        if samples is not None:
            parts = _parts(samples, samples_names)
            given = read_given(parts, limits=limits, reporter=reporter)
            given.findings.require_allowed(options.allowed_rejected)
            if not given.has_ids:
                roles = {"interactions": interactions, "items": items}
                require_alone(given, [role for role, files in roles.items() if files is not None])
                return _ingested_texts(given, options, seen, out)
        if interactions is None:
            assert given is not None
            interactions = Path(scratch) / "interactions.parquet"
            interactions_names = [FROM_SAMPLES]
            pq.write_table(given.interactions(), interactions)
            options = options.of_samples()
        called = renamed or {}
        parts = _parts(interactions, interactions_names, called.get("interactions"))
        source = open_interactions(parts, options, limits=limits, reporter=reporter, seen=seen)
        rows = InteractionRows.read(source, options, seen, limits)
        item_rows = None
        if items is not None:
            parts = _parts(items, items_names, called.get("items"))
            item_source = open_items(
                parts, options, source.columns, limits=limits, reporter=reporter, seen=seen
            )
            item_rows = ItemRows(item_source, options, seen, limits)
        rows.findings.require_allowed(options.allowed_rejected)
        read = Read(rows.rows, None if item_rows is None else item_rows.catalogue)
        return make_dataset(rows, item_rows, given, read, options, seen, out)


def _ingested_texts(
    rows: GivenRows, options: DataOptions, seen: SeenFiles, out: Path
) -> IngestResult:
    """Make the data set of texts without ids, and save it."""
    dataset = texts_dataset(rows, options)
    seen.files.append(rows.columns)
    report = text_report(rows, dataset, options, seen.files)
    return _saved(IngestResult(dataset, text_counts(dataset), report), out)


def make_dataset(
    rows: InteractionRows,
    item_rows: ItemRows | None,
    given_rows: GivenRows | None,
    read: Read,
    options: DataOptions,
    seen: SeenFiles,
    out: Path,
) -> IngestResult:
    """Make the data set of all that was read, and save it with what a later append needs.

    Args:
        rows: The files of interactions that were read now.
        item_rows: The items files that were read now.
        given_rows: The samples that were read now.
        read: All interactions and items, with those of the version before.
        options: How the files become a data set.
        seen: The files that were opened.
        out: Gets the files.

    Raises:
        InputError: No data set can be made, and nothing is written.
    """
    before, examples = read.before, example_rows(rows.rows, read.catalogue)
    earlier = len(read.rows.users) - len(rows.rows.users)
    rows.findings.accepted += earlier
    left = filtered(read.rows, read.catalogue, options, rows.findings)
    rows.findings.accepted -= earlier
    raw, catalogue = left.rows, left.catalogue
    where = "" if item_rows is None else _where_ids_are(rows, item_rows.source)
    names = (rows.findings.name, "" if item_rows is None else item_rows.findings.name)
    joined, known = join_catalogue(raw.item_ids, catalogue, where, names)
    sequences = arrange(_placed(raw, joined), rows.method)
    given = None
    if given_rows is not None:
        given = given_rows.matched(raw.user_ids, joined.item_ids)
        given_rows.findings.require_allowed(options.allowed_rejected)
        seen.files.append(given_rows.columns)
    dataset = _dataset(raw, sequences, joined, rows.method, given)
    counts = _counts(dataset)
    name = rows.findings.name
    whole = name if before is None else f"{name} with the version before it"
    _require_samples(counts, raw.item_ids, whole)
    warnings = _warnings(dataset, joined, catalogue)
    if catalogue is not None and known < len(raw.item_ids):
        warnings.append(unknown_items(raw.item_ids, catalogue.item_ids))
    if left.cut_users is not None:
        sessions = dataset.n_users
        told = f"{left.cut_users:,} users were split into {sessions:,} sessions, which count as users now."
        warnings.append(warning("users_cut_into_sessions", sessions, told))
    warnings += rows.findings.warnings()
    added = raw if before is None else rows.rows
    if len(added.users):
        warnings += odd_interactions(
            name, whole, rows.columns, added, raw.times, sequences, rows.method
        )
    if catalogue is not None and item_rows is not None:
        listed = catalogue if before is None else item_rows.catalogue
        warnings += item_rows.findings.warnings()
        warnings += odd_items(item_rows.findings.name, item_rows.source.columns, listed)
    rejections = [*rows.findings.rejections()]
    rejections += [] if item_rows is None else item_rows.findings.rejections()
    rejections += [] if given_rows is None else given_rows.findings.rejections()
    report: Report = {
        **rows.findings.row_counts(),
        "kind": DataKind.INTERACTIONS.value,
        "items": None if item_rows is None else item_rows.findings.row_counts(),
        "samples": None if given_rows is None else given_rows.findings.row_counts(),
        "read": [_said(part.source) for part in (rows, item_rows) if part and part.source],
        "appended": None if before is None else before.account(dataset, rows.rows, rows.findings),
        "drift": None if before is None else drift(before.dataset, dataset),
        "options": options.asked(),
        "removed": list(removals(rows.findings, options)),
        "files": seen.files,
        "times": time_span(dataset),
        "ratings": dataset.ratings is not None,
        "texts": list(dataset.item_texts),
        "examples": examples,
        "rejections": rejections[:SHOWN],
        "warnings": warnings,
    }
    made = _saved(IngestResult(dataset, counts, report), out)
    Growth.of(read.rows, left, read.catalogue, rows.columns).save(out, dataset)
    return made


def _saved(result: IngestResult, out: Path) -> IngestResult:
    result.dataset.save(out)
    written = {"counts": result.counts, "report": result.report}
    (out / REPORT).write_text(json.dumps(written, ensure_ascii=False, indent=1))
    return result


def _where_ids_are(interactions: InteractionRows, items: SourceTable) -> str:
    """Say which columns the ids come from, and how to name others."""
    used, known = interactions.columns[Column.ITEM_ID], items.columns[Column.ITEM_ID]
    told = f"The ids are `{known}` in the items file and `{used}` in the interactions"
    source = interactions.source
    if source is not None and known != used and known in source.table.column_names:
        return f"{told}, which also have `{known}`: use `--column item_id={known}`."
    return (
        f"{told}. To use other columns, set `--set data.item_columns.item_id=NAME` (items) or "
        "`--column item_id=NAME` (interactions)."
    )


def _placed(raw: Interactions, joined: Catalogue) -> Interactions:
    """Number the items of ``raw`` by their places in ``joined``; both are in the order of ids."""
    places = pc.index_in(raw.item_ids, value_set=joined.item_ids).to_numpy().astype(np.int32)
    return replace(raw, item_ids=joined.item_ids, items=places[raw.items])


def _require_samples(counts: Mapping[str, int], item_ids: pa.Array, name: str) -> None:
    if not (counts["samples_per_user"] or counts["samples_given"]):
        detail = (
            f"{name} has {counts['interactions']:,} interactions of {counts['users']:,} users, of which "
            f"{counts['train']:,} are for training"
        )
        raise InputError(
            "No sample can be made, because no user has two interactions in the training split. "
            f"{detail}. A sample needs an item and at least one before it: give more interactions of "
            "each user, relax the filters, or use another split (`--split`, or `split` in the "
            f"request).{_several_items(item_ids)}",
            code="no_samples",
            errors=[FieldError(name, "no user has two interactions in the training split")],
        )
    if counts["items"] == 1:
        detail = f"{name} has only one item, so nothing can be ranked."
        if is_rounded(item_ids[0].as_py()):
            detail += (
                f" Its id, `{item_ids[0]}`, is a rounded number: a spreadsheet, or a column of "
                "floating-point numbers, has made different ids equal. Export them again, as text."
            )
        raise InputError(detail, code="one_item", errors=[FieldError(name, "it has only one item")])


def _several_items(item_ids: pa.Array) -> str:
    """A word on ids that look like several ones."""
    ids = item_ids.slice(0, 100).to_pylist()
    for name, mark in SEPARATORS.items():
        if all(mark in one for one in ids):
            return (
                f" If ids such as `{ids[0][:40]}` are several items, `--set "
                f"data.format.list_separator={name}` splits them."
            )
    return ""


def _dataset(
    raw: Interactions,
    sequences: Sequences,
    joined: Catalogue,
    method: SplitMethod,
    given: GivenSamples | None,
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
        ratings=sequences.ratings,
        given=given,
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
        ratings=sequences.ratings,
        given=given,
    )


def _counts(dataset: Dataset) -> dict[str, int]:
    parts = np.bincount(dataset.splits, minlength=len(SPLIT_CODES))
    lengths = train_lengths(dataset)
    return {
        "users": dataset.n_users,
        "items": dataset.n_items,
        "interactions": dataset.n_interactions,
        **{part.value: int(parts[SPLIT_CODES[part]]) for part in Split},
        "valid_users": dataset.users_asked(Split.VALID),
        "test_users": dataset.users_asked(Split.TEST),
        "samples_per_user": count_samples(lengths, Sampling.PER_USER, 1),
        "samples_per_interaction": count_samples(lengths, Sampling.PER_INTERACTION, 1),
        "samples_given": 0 if dataset.given is None else len(dataset.given),
    }


def _warnings(
    dataset: Dataset, joined: Catalogue, catalogue: Catalogue | None
) -> list[DataWarning]:
    titled = joined.titles.drop_null()
    distinct = pc.count_distinct(titled).as_py() if len(titled) else 0
    single = int((np.diff(dataset.offsets) == 1).sum())
    possible = [
        ("duplicate_titles", len(titled) - distinct, "item", "with the same title as another item"),
        (
            "items_without_title",
            joined.titles.null_count,
            "item",
            "without a title; the id is used instead",
        ),
        ("users_with_one_item", single, "user", "with a single interaction, which gives no sample"),
    ]
    if catalogue is None:
        possible[1] = (
            "no_items_file",
            dataset.n_items,
            "item",
            "without a title; the id is used instead",
        )
    return [
        warning(code, n, f"There {'is' if n == 1 else 'are'} {counted(n, noun)} {text}.")
        for code, n, noun, text in possible
        if n
    ]


def _parts(
    paths: Path | Sequence[Path],
    names: Sequence[str] | None,
    renamed: Sequence[Mapping[str, str]] | None = None,
) -> list[Part]:
    return parts_of([paths] if isinstance(paths, Path) else paths, names, renamed)


def _said(source: SourceTable) -> FileReading:
    return {"file": source.name, "said": source.said()}
