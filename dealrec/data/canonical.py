"""The hash of a data set's content, whatever file format the content came in."""

import hashlib
from collections.abc import Mapping
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.config import SplitMethod
from dealrec.data.given import GivenSamples

_VERSION = b"dealrec data set 1"


def canonical_sha256(
    *,
    user_ids: pa.Array,
    item_ids: pa.Array,
    titles: pa.Array,
    item_texts: Mapping[str, pa.Array],
    offsets: npt.NDArray[np.int64],
    items: npt.NDArray[np.int32],
    splits: npt.NDArray[np.int8],
    method: SplitMethod,
    times: npt.NDArray[np.int64] | None = None,
    ratings: npt.NDArray[np.float32] | None = None,
    given: GivenSamples | None = None,
) -> str:
    """Hash ids, titles, texts (sorted by column name), sequences, splits and times, each with its length.

    Without times and samples the hash is made as in version 0.1.0, which did not keep any. With them it is
    another one, because results may depend on them.

    Args:
        user_ids: [U] text.
        item_ids: [I] text.
        titles: [I] text.
        item_texts: Further text columns by name, each [I], null where empty.
        offsets: [U + 1] bounds of each user's interactions in ``items``.
        items: [N] dense item indices.
        splits: [N] codes of ``SPLIT_CODES``.
        method: The split method.
        times: [N] timestamps, if the data has any.
        ratings: [N] ratings, if they are kept.
        given: Samples that came with the data.

    Returns:
        The SHA-256 in hexadecimal.
    """
    digest = hashlib.sha256(_VERSION)
    _add(digest, method.value.encode())
    for text in (user_ids, item_ids, titles):
        _add_text(digest, text)
    for name in sorted(item_texts):
        _add(digest, name.encode())
        _add_text(digest, item_texts[name])
    for values, kind in ((offsets, "<i8"), (items, "<i4"), (splits, "i1")):
        _add(digest, np.ascontiguousarray(values, dtype=kind).tobytes())
    if times is not None:
        _add(digest, np.ascontiguousarray(times, dtype="<i8").tobytes())
    if ratings is not None:
        _add(digest, b"ratings")
        _add(digest, np.ascontiguousarray(ratings, dtype="<f4").tobytes())
    if given is not None:
        _add(digest, b"samples")
        given.hash_into(partial(_add, digest))
    return digest.hexdigest()


def _add_text(digest: "hashlib._Hash", text: pa.Array) -> None:
    """Add the lengths (-1 for null) and then all bytes, so that different columns hash differently."""
    lengths = pc.fill_null(pc.binary_length(text), -1).to_numpy(zero_copy_only=False)
    _add(digest, lengths.astype("<i8").tobytes())
    for start in range(0, len(text), 2**16):
        digest.update("".join(text.slice(start, 2**16).drop_null().to_pylist()).encode())


def _add(digest: "hashlib._Hash", data: bytes) -> None:
    digest.update(len(data).to_bytes(8, "little"))
    digest.update(data)
