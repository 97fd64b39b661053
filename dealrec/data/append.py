"""Makes a new version of a data set: the rows of the version before, and those of files that are appended.

The result is the data set that the files of all versions would give together, with the same content hash:
filters, splits and the numbering of ids are made anew, because later rows change them. Reading and checking
rows is by far the larger part of an ingestion, and that is done for the appended files alone.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from dealrec.config import Column, DataOptions
from dealrec.config.formats import RowOrder
from dealrec.data.catalogue import Catalogue
from dealrec.data.dataset import REPORT
from dealrec.data.files_read import InteractionRows, ItemRows, Read
from dealrec.data.findings import FileFindings
from dealrec.data.growth import Before, not_possible
from dealrec.data.identifiers import without_zeros
from dealrec.data.ingest import IngestResult, make_dataset
from dealrec.data.interactions import Interactions, following_rows
from dealrec.data.limits import Limits
from dealrec.data.many import parts_of
from dealrec.data.opening import open_interactions, open_items
from dealrec.data.seen import SeenFiles
from dealrec.errors import FieldError, InputError
from dealrec.progress import SILENT, Reporter

NO_INTERACTIONS = "the version before"
"""What stands in messages for the name of a file of interactions that an append does not have."""
_PLACE = f"{Column.POSITION}.whole"


def append(
    parent: Path,
    interactions: Path | Sequence[Path] | None = None,
    *,
    interactions_names: Sequence[str] | None = None,
    items: Path | Sequence[Path] | None = None,
    items_names: Sequence[str] | None = None,
    options: DataOptions | None = None,
    out: Path,
    reporter: Reporter = SILENT,
    limits: Limits | None = None,
) -> IngestResult:
    """Make a version of the data set in ``parent`` with more rows; ``parent`` stays as it is.

    Rows may be older than those that are there, and may name users and items that are new. A row that
    repeats one of the version before is rejected as a repetition, as it would be in one file. The items file
    may have new items, and titles and texts for items that had no title.

    Args:
        parent: The folder of a data set that :func:`~dealrec.data.ingest.ingest` or this function made.
        interactions: Files of interactions, or folders of such files; may be left out beside ``items``.
        interactions_names: Their names in messages.
        items: Items files.
        items_names: Their names.
        options: How the files are read, where that differs from the files before; see
            :meth:`dealrec.config.DataOptions.of_append`.
        out: Folder that gets the version; it needs nothing of ``parent``.
        reporter: Gets the progress in bytes.
        limits: Limits on the files.

    Raises:
        InputError: As :func:`~dealrec.data.ingest.ingest`; ``append_not_possible``, ``no_data`` where
            neither interactions nor items are given, ``columns_differ`` where the files lack what orders or
            splits the rows. Nothing is written.
    """
    if interactions is None and items is None:
        raise InputError(
            "There is nothing to append. Give a file of interactions, of items, or both.",
            code="no_data",
        )
    before = Before.load(parent)
    options = _options_of(parent).of_append(options)
    limits, seen = limits or Limits(), SeenFiles()
    with seen.told():
        rows = _no_rows(before)
        if interactions is not None:
            parts = parts_of(_several(interactions), interactions_names)
            source = open_interactions(parts, options, limits=limits, reporter=reporter, seen=seen)
            source = replace(source, columns=_same_columns(before, source.columns, source.name))
            asked = options.model_copy(update={"split": before.dataset.split_method})
            rows = InteractionRows.read(source, asked, seen, limits)
            rows = replace(rows, rows=_placed_after(before.rows, rows.rows, options))
        item_rows = None
        if items is not None:
            parts = parts_of(_several(items), items_names)
            item_source = open_items(
                parts, options, rows.columns, limits=limits, reporter=reporter, seen=seen
            )
            item_rows = ItemRows(item_source, options, seen, limits)
        rows.findings.require_allowed(options.allowed_rejected)
        catalogue = before.catalogue
        if item_rows is not None:
            catalogue = item_rows.after(catalogue)
            if options.normalise_ids:
                _require_same_zeros(before, catalogue)
        read = Read(following_rows(before.rows, rows.rows), catalogue, before)
        return make_dataset(rows, item_rows, None, read, options, seen, out)


def _several(paths: Path | Sequence[Path]) -> Sequence[Path]:
    return [paths] if isinstance(paths, Path) else paths


def _options_of(parent: Path) -> DataOptions:
    """The options that the version before was made with."""
    report = json.loads((parent / REPORT).read_text())["report"]
    return DataOptions.parse(report["options"], location="options")


def _no_rows(before: Before) -> InteractionRows:
    """What stands for the interactions where items alone are appended."""
    rows = before.rows.take(np.empty(0, np.int64))
    method = before.dataset.split_method
    return InteractionRows(rows, FileFindings(NO_INTERACTIONS), before.columns, method)


def _same_columns(before: Before, found: dict[Column, str], name: str) -> dict[Column, str]:
    """The found columns without those that do not order the rows before.

    Raises:
        InputError: ``columns_differ`` where a column is missing that orders them.
    """
    needed = [Column.TIMESTAMP] if before.rows.times is not None else []
    if any(key.startswith(Column.POSITION) for key in before.rows.order):
        needed.append(Column.POSITION)
    missing = [column for column in needed if column not in found]
    if missing:
        raise InputError(
            f"{name} has no column `{missing[0]}`, by which the interactions of the version before are "
            f"ordered. Add the column, or give its name in the file (`--column {missing[0]}=NAME`, or "
            "`columns` in the request).",
            code="columns_differ",
            title="A column is missing",
            errors=[FieldError(name, f"there is no `{missing[0]}` column")],
        )
    order = {Column.TIMESTAMP, Column.POSITION}
    return {ours: theirs for ours, theirs in found.items() if ours in needed or ours not in order}


def _require_same_zeros(before: Before, catalogue: Catalogue) -> None:
    """Check that no new item makes it unknown which item an id without its zeros meant before.

    Raises:
        InputError: ``append_not_possible``.
    """
    if before.catalogue is None:
        return
    known = before.catalogue.item_ids
    used = known.filter(pc.is_in(known, value_set=before.rows.item_ids))
    new = catalogue.item_ids.filter(pc.invert(pc.is_in(catalogue.item_ids, value_set=known)))
    at = pc.index_in(without_zeros(new), value_set=without_zeros(used))
    for place in pc.indices_nonzero(at.is_valid()).to_pylist()[:1]:
        raise not_possible(
            f"The items have `{new[place]}`, which differs from `{used[at[place].as_py()]}` of the "
            "version before only in its leading zeros. `normalise_ids` has repaired ids without "
            "leading zeros, so it is no longer known which of the two was meant. Make a new data set "
            "from all of the files, which then leaves such ids as they are (`source_dataset_id` reads "
            "the files of a data set on a server again)."
        )


def _placed_after(before: Interactions, rows: Interactions, options: DataOptions) -> Interactions:
    """Where the order of rows is that of time, the appended rows come after all others."""
    if options.format.order is not RowOrder.FILE:
        return rows
    places = before.key(_PLACE)
    first = int(places.max()) + 1 if len(places) else 0
    return replace(rows, order={_PLACE: rows.key(_PLACE) + first})
