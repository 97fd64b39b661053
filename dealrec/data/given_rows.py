"""Reads a file of samples: JSON Lines or an array, Parquet, or a table of text cells such as CSV."""

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dealrec.config.formats import FileFormat
from dealrec.data.detection import Compression, Format, detect_format, file_error
from dealrec.data.findings import SHOWN, FileColumns, FileFindings
from dealrec.data.given import GivenSamples
from dealrec.data.json_records import json_shape, records
from dealrec.data.limits import Limits
from dealrec.data.many import Part
from dealrec.data.readers import open_table
from dealrec.data.streams import UnpackedFile
from dealrec.data.tables import ROWS_OF_A_FILE, BadRow
from dealrec.data.texts import FIELDS, TEXT, sample_of_row, text_record
from dealrec.errors import InputError
from dealrec.progress import Reporter

SPLIT = "split"
_IDS = ("sample_id", "user_id", "history", "target")
_ROWS = 1024

Row = Mapping[str, Any] | BadRow


@dataclass
class GivenRows:
    """The rows of a file of samples that can be used as far as the file alone can tell."""

    findings: FileFindings
    columns: FileColumns
    keys: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    sequences: list[list[str]] = field(default_factory=list)
    """The ids of each row's history, oldest first, and then of its target."""
    texts: list[dict[str, Any]] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    """The place of each row in its file."""
    splits: list[str] = field(default_factory=list)
    """The word in the column ``split`` of each row; empty where there is none."""
    has_ids: bool = False
    """Whether any row names items; otherwise the rows are texts alone, and their sequences are empty."""

    def begin_ids(self) -> None:
        """Reject the rows so far: a row with ids shows that they lack theirs."""
        self.findings.reject(
            _without_ids(place, user) for place, user in zip(self.rows, self.users, strict=True)
        )
        self.has_ids = True
        for rows in (self.keys, self.users, self.sequences, self.texts, self.rows, self.splits):
            rows.clear()

    def interactions(self) -> pa.Table:
        """Make interactions of the items that the samples name, all of them for training.

        A user's sequence is the longest of the user's samples, followed by the items that only others
        of them name, in the order of the rows.
        """
        by_user: dict[str, list[list[str]]] = {}
        for user, sequence in zip(self.users, self.sequences, strict=True):
            by_user.setdefault(user, []).append(sequence)
        users, items, positions = list[str](), list[str](), list[int]()
        for user, sequences in by_user.items():
            longest = max(sequences, key=len)
            there = {*longest}
            more = dict.fromkeys(item for one in sequences for item in one if item not in there)
            whole = [*longest, *more]
            users += [user] * len(whole)
            items += whole
            positions += range(len(whole))
        columns = {"user_id": users, "item_id": items, "position": positions}
        return pa.table({**columns, "split": ["train"] * len(users)})

    def matched(self, user_ids: pa.Array, item_ids: pa.Array) -> GivenSamples:
        """Number the users and items of the rows; rows with unknown ones are rejected.

        Raises:
            InputError: No row is left.
        """
        lengths = np.array([len(sequence) for sequence in self.sequences], dtype=np.int64)
        flat = pa.array([item for sequence in self.sequences for item in sequence], pa.string())
        items = pc.fill_null(pc.index_in(flat, value_set=item_ids), -1).to_numpy()
        named = pa.array(self.users, pa.string())
        users = pc.fill_null(pc.index_in(named, value_set=user_ids), -1).to_numpy()
        owners = np.repeat(np.arange(len(lengths)), lengths)
        no_item = np.bincount(owners, weights=items < 0, minlength=len(lengths)) > 0
        for where, column, reason in (
            (users < 0, "user_id", "unknown_user"),
            (no_item & (users >= 0), "history", "unknown_item"),
        ):
            bad = [BadRow(self.rows[at], column, reason) for at in np.flatnonzero(where)]
            self.findings.reject(bad)
            self.findings.accepted -= len(bad)
        self.findings.require_rows()
        kept = np.flatnonzero((users >= 0) & ~no_item)
        keys = pa.array(self.keys, pa.string()).take(pa.array(kept))
        kept = kept[pc.sort_indices(keys.cast(pa.binary())).to_numpy()]
        ends = np.cumsum(lengths)
        places = [np.arange(ends[at] - lengths[at], ends[at]) for at in kept]
        return GivenSamples(
            pa.array([self.keys[at] for at in kept], pa.string()),
            users[kept].astype(np.int32),
            np.concatenate([[0], np.cumsum(lengths[kept])]).astype(np.int64),
            items[np.concatenate(places)].astype(np.int32),
            pa.array([self.texts[at] for at in kept], TEXT),
        )


def read_given(parts: Sequence[Part], *, limits: Limits, reporter: Reporter) -> GivenRows:
    """Read files of samples, and reject the rows that cannot be used.

    Raises:
        InputError: A file cannot be read, or no row can be used.
    """
    name = parts[0].name if len(parts) == 1 else f"{parts[0].name} and {len(parts) - 1} more"
    findings = FileFindings(name, tuple(part.name for part in parts))
    found = GivenRows(findings, {"file": name, "columns": [], "read": {}, "unused": []})
    names, taken = dict[str, None](), set[str]()
    for number, part in enumerate(parts):
        for at, row in _rows(part, limits, reporter):
            place = number * ROWS_OF_A_FILE + at
            if len(found.rows) < SHOWN and isinstance(row, Mapping):
                names.update(dict.fromkeys(row))
            bad = row if isinstance(row, BadRow) else _add(found, row, place, taken)
            if bad is not None:
                findings.reject([BadRow(place, bad.column, bad.reason)])
    columns = [name[:200] for name in names][:100]
    used = {*_IDS, *FIELDS} | (set() if found.has_ids else {SPLIT})
    found.columns["columns"] = columns
    found.columns["read"] = {name: name for name in columns if name in used}
    found.columns["unused"] = [name for name in columns if name not in used]
    findings.accepted = len(found.rows)
    findings.require_rows()
    return found


def _add(found: GivenRows, row: Mapping[str, Any], place: int, taken: set[str]) -> BadRow | None:
    """Add a row, or say why it cannot be used."""
    named = any(row.get(name) is not None for name in ("history", "target"))
    if named and not found.has_ids:
        found.begin_ids()
        taken.clear()
    key, user = _id(row.get("sample_id", str(place))), _id(row.get("user_id"))
    history, target = _ids(row.get("history")), _id(row.get("target"))
    try:
        sample = sample_of_row(row)
    except ValueError:
        return BadRow(place, None, "invalid_texts")
    for wrong, column, reason in (
        (not key, "sample_id", "empty_sample_id"),
        (key in taken, "sample_id", "duplicate_sample_id"),
        (found.has_ids and not user, "user_id", "empty_user_id"),
        (
            found.has_ids and not (history and target),
            "target" if history else "history",
            "no_item_ids",
        ),
        (not sample.output.strip(), None, "empty_answer"),
        ("\x00" in sample.prompt + sample.output, None, "invalid_text"),
    ):
        if wrong:
            return BadRow(place, column, reason)
    taken.add(key)
    found.keys.append(key)
    found.users.append(user)
    found.sequences.append([*history, target] if found.has_ids else [])
    found.splits.append(_id(row.get(SPLIT)))
    found.texts.append(text_record(sample))
    found.rows.append(place)
    return None


def _without_ids(place: int, user: str) -> BadRow:
    """Reject a row that names no items beside rows that do."""
    if not user:
        return BadRow(place, "user_id", "empty_user_id")
    return BadRow(place, "history", "no_item_ids")


def _id(value: Any) -> str:
    """An id as text; empty where it is none."""
    if isinstance(value, int | str) and not isinstance(value, bool):
        return str(value).strip()
    return ""


def _ids(value: Any) -> list[str]:
    """The ids of a list, or of a cell that holds one; empty where one of them is no id."""
    if isinstance(value, str):
        value = _cell(value)
    if not isinstance(value, list):
        return []
    ids = [_id(one) for one in value]
    return ids if all(ids) else []


def _cell(text: str) -> Any:
    """A list as JSON or as Python writes it, or ids that are parted by ``|``, commas or spaces."""
    text = text.strip()
    if text.startswith("["):
        for parse in (json.loads, ast.literal_eval):
            try:
                return parse(text)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
        return None
    mark = next((mark for mark in "|," if mark in text), None)
    return text.split(mark)


def _rows(part: Part, limits: Limits, reporter: Reporter) -> Iterator[tuple[int, Row]]:
    """Iterate over the rows of a file with their places in it."""
    file = UnpackedFile(part.path, part.name, limits, reporter)
    text = file.head if file.head.startswith(b"PAR1") else file.text_head()
    match detect_format(text, part.name):
        case Format.PARQUET:
            yield from _parquet(file)
        case Format.JSON:
            for found in records(file, json_shape(text.decode("utf-8", "replace"))):
                for at, row in zip(found.rows, found.objects, strict=True):
                    yield at, BadRow(at, None, "invalid_json") if row is None else row
        case Format.DELIMITED:
            yield from _cells(part, limits, reporter)


def _parquet(file: UnpackedFile) -> Iterator[tuple[int, Row]]:
    if file.compression is not Compression.NONE:
        raise file_error(
            file.name,
            "not_tabular",
            "A compressed Parquet file of samples cannot be read. Unpack it first.",
        )
    try:
        with pq.ParquetFile(file.path) as parquet:
            first = 1
            for batch in parquet.iter_batches(_ROWS, use_threads=False):
                yield from enumerate(batch.to_pylist(), first)
                first += batch.num_rows
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise file_error(file.name, "corrupt_stream", f"It cannot be read: {error}") from None


def _cells(part: Part, limits: Limits, reporter: Reporter) -> Iterator[tuple[int, Row]]:
    """Rows of text cells; empty ones are missing."""
    table = open_table(
        part.path, part.name, asked=FileFormat(), limits=limits, reporter=reporter
    ).table
    names = [name for name in table.column_names if name in {*_IDS, SPLIT, *FIELDS}]
    if not {*names} - {SPLIT}:
        raise InputError(
            f"{part.name} has none of the columns {', '.join((*_IDS, *FIELDS))}.",
            code="missing_column",
        )
    for batch in table.batches(names):
        yield from ((bad.row, bad) for bad in batch.bad)
        columns = [batch.columns[name].to_pylist() for name in names]
        for at, cells in zip(batch.rows.tolist(), zip(*columns, strict=True), strict=True):
            yield at, {name: cell for name, cell in zip(names, cells, strict=True) if cell}
