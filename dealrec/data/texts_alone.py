"""Data sets of texts alone: samples that people bring without ids of items."""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.config import DataOptions, Split, SplitMethod
from dealrec.config.data import AS_THEY_ARE, DataKind
from dealrec.data.canonical import canonical_sha256
from dealrec.data.dataset import SPLIT_CODES, Dataset, Int8, Int64
from dealrec.data.findings import SHOWN, DataWarning, FileColumns, Report, warning
from dealrec.data.given import GivenSamples
from dealrec.data.given_rows import SPLIT, GivenRows
from dealrec.data.splits import SPLIT_NAMES
from dealrec.data.tables import BadRow
from dealrec.data.texts import TEXT
from dealrec.errors import FieldError, InputError

_READ = frozenset({"split", "allowed_rejected"})
"""The options of the data that texts alone read."""
_HELD_OUT = 10
"""One of so many users is held out by the split ``users``."""


def require_alone(rows: GivenRows, others: Sequence[str]) -> None:
    """Check that no other files came with texts that name nothing of them.

    Raises:
        InputError: ``no_sample_ids``; ``others`` are the roles of the other files.
    """
    if not others:
        return
    told = " and ".join(others)
    raise InputError(
        f"The rows of {rows.findings.name} are texts without ids: they have "
        f"{', '.join(rows.columns['columns'][:8])}, but neither `history` nor `target`, so nothing "
        f"links them to the {told}. Leave the {told} out, and the texts become a data set by "
        "themselves; or give `user_id`, `history` and `target` in every row.",
        code="no_sample_ids",
        title="The samples have no ids",
        errors=[FieldError(column, "is missing") for column in ("history", "target")],
    )


def texts_dataset(rows: GivenRows, options: DataOptions) -> Dataset:
    """Make the data set of texts without ids; rows that cannot be used are rejected.

    Raises:
        InputError: ``split_not_possible``, ``too_many_rejected``, ``no_samples`` where nothing is left for
            training, and the errors of :meth:`~dealrec.data.findings.FileFindings.require_rows`.
    """
    method = _method(rows, options)
    read = method is SplitMethod.COLUMN and any(rows.splits)
    if not read and SPLIT in rows.columns["read"]:
        rows.columns["unused"].append(rows.columns["read"].pop(SPLIT))
    codes = [SPLIT_NAMES.get(word.lower(), -1) if read else 0 for word in rows.splits]
    named = any(rows.users)
    bad = [
        BadRow(
            rows.rows[at], *(("user_id", "empty_user_id") if lacks else (SPLIT, "invalid_split"))
        )
        for at, code in enumerate(codes)
        if (lacks := named and not rows.users[at]) or code < 0
    ]
    lost = {row.row for row in bad}
    rows.findings.reject(bad)
    rows.findings.accepted -= len(bad)
    rows.findings.require_rows()
    rows.findings.require_allowed(options.allowed_rejected)
    kept = np.array([at for at, row in enumerate(rows.rows) if row not in lost], np.int64)
    keys = pa.array(rows.keys, pa.string()).take(pa.array(kept))
    kept = kept[pc.sort_indices(keys.cast(pa.binary())).to_numpy()]
    keys = pa.array([rows.keys[at] for at in kept], pa.string())
    owners = pa.array([rows.users[at] for at in kept], pa.string()) if named else keys
    user_ids = pc.unique(owners)
    user_ids = user_ids.take(pc.sort_indices(user_ids.cast(pa.binary())))
    users = pc.index_in(owners, value_set=user_ids).to_numpy().astype(np.int32)
    splits = np.array([codes[at] for at in kept], np.int8)
    if method is SplitMethod.USERS:
        splits = _held_out_users(user_ids)[users]
    _require_training(splits, rows.findings.name)
    return _dataset(
        user_ids,
        GivenSamples(
            keys,
            users,
            np.zeros(len(kept) + 1, np.int64),
            np.empty(0, np.int32),
            pa.array([rows.texts[at] for at in kept], TEXT),
            splits,
        ),
        method,
    )


def _method(rows: GivenRows, options: DataOptions) -> SplitMethod:
    method = options.split or SplitMethod.COLUMN
    if method not in (SplitMethod.COLUMN, SplitMethod.USERS):
        raise InputError(
            f"The split `{method}` needs interactions, but {rows.findings.name} holds texts without "
            "ids. Use `users`, which holds out a tenth of the users (or of the samples, if they name "
            "no users), or a column `split` with train, valid or test in each row.",
            code="split_not_possible",
            errors=[FieldError("split", "must be `users` or `column` for texts without ids")],
        )
    if options.split is SplitMethod.COLUMN and not any(rows.splits):
        raise InputError(
            f"The split `column` needs a `split` column, which {rows.findings.name} does not have.",
            code="split_not_possible",
            errors=[FieldError("split", "there is no `split` column")],
        )
    return method


def _held_out_users(user_ids: pa.Array) -> Int8:
    """[U] the split of each user: a tenth of them, rounded down, in the order of hashes, is validation."""
    hashes = [
        blake2b(one, digest_size=8).digest() for one in user_ids.cast(pa.binary()).to_pylist()
    ]
    order = sorted(range(len(hashes)), key=hashes.__getitem__)
    splits = np.full(len(hashes), SPLIT_CODES[Split.TRAIN], np.int8)
    splits[order[: len(hashes) // _HELD_OUT]] = SPLIT_CODES[Split.VALID]
    return splits


def _require_training(splits: Int8, name: str) -> None:
    if not (splits == SPLIT_CODES[Split.TRAIN]).any():
        raise InputError(
            f"No row of {name} is for training: its column `split` holds all of them out.",
            code="no_samples",
            errors=[FieldError(name, "no row has the split `train`")],
        )


def _dataset(user_ids: pa.Array, given: GivenSamples, method: SplitMethod) -> Dataset:
    nothing = pa.array([], pa.string())
    offsets: Int64 = np.zeros(len(user_ids) + 1, np.int64)
    items, splits = np.empty(0, np.int32), np.empty(0, np.int8)
    sha256 = canonical_sha256(
        user_ids=user_ids,
        item_ids=nothing,
        titles=nothing,
        item_texts={},
        offsets=offsets,
        items=items,
        splits=splits,
        method=method,
        given=given,
    )
    return Dataset(
        user_ids, nothing, nothing, {}, offsets, items, splits, method, sha256, given=given
    )


def text_counts(dataset: Dataset) -> dict[str, int]:
    """Count users, texts of each split, and samples under the names that all data sets have."""
    given = dataset.given
    assert given is not None and given.splits is not None
    parts = {split: given.of_split(code) for split, code in SPLIT_CODES.items()}
    return {
        "users": dataset.n_users,
        "items": 0,
        "interactions": 0,
        **{split.value: len(part) for split, part in parts.items()},
        "valid_users": len(np.unique(parts[Split.VALID].users)),
        "test_users": len(np.unique(parts[Split.TEST].users)),
        "samples_per_user": 0,
        "samples_per_interaction": 0,
        "samples_given": len(parts[Split.TRAIN]),
    }


def text_report(
    rows: GivenRows, dataset: Dataset, options: DataOptions, files: list[FileColumns]
) -> Report:
    """Make the report: the counts of rows are those of the samples."""
    counts = rows.findings.row_counts()
    said = ["texts without ids, so the surrogate and influence are left out", _held_out(dataset)]
    return {
        **counts,
        "kind": DataKind.TEXTS.value,
        "items": None,
        "samples": counts,
        "read": [{"file": rows.findings.name, "said": said}],
        "appended": None,
        "drift": None,
        "options": options.asked(),
        "removed": [],
        "files": files,
        "times": None,
        "ratings": False,
        "texts": [],
        "examples": [],
        "rejections": rows.findings.rejections()[:SHOWN],
        "warnings": [*_without_effect(options)],
    }


def _held_out(dataset: Dataset) -> str:
    counts = text_counts(dataset)
    if not counts["valid"] + counts["test"]:
        return (
            "all of them are for training, and none is held out (a column `split`, or `--split "
            "users`, would do that)"
        )
    way = "by their column `split`"
    if dataset.split_method is SplitMethod.USERS:
        way = f"of {counts['valid_users']:,} of {counts['users']:,} users, drawn by a hash"
        if counts["users"] == len(dataset.given or ()):
            way = "drawn by a hash of their ids"
    return (
        f"{counts['train']:,} are for training; held out {way}: {counts['valid']:,} for validation, "
        f"{counts['test']:,} for test"
    )


def _without_effect(options: DataOptions) -> list[DataWarning]:
    names = [
        name
        for name in DataOptions.model_fields
        if name not in _READ and getattr(options, name) != getattr(AS_THEY_ARE, name)
    ]
    if not names:
        return []
    told = ", ".join(f"`{name}`" for name in names)
    message = f"These options of the data have no effect on texts without ids: {told}."
    return [warning("options_without_effect", len(names), message)]
