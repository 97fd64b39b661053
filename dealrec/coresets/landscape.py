"""Where samples lie beside one another: vectors, neighbours, and a plane to draw them on."""

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dealrec.data.samples import Samples

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]
_FITTED = 20_000
"""The most samples that directions are fitted to; more are taken evenly from all of them."""
_ITERATIONS = 2
_DIMENSIONS = 32
_LATEST = 20
"""The items of a history that count for its vector."""
_TARGET_WEIGHT = 2.0
_NUMBERS = 2**24
"""So many numbers of vectors are copied at a time."""
_TAIL = 0.5
"""Percent of the samples at each end of an axis that are moved to its border."""


class VectorSource(StrEnum):
    """The kind of vectors that represent samples."""

    SURROGATE = "surrogate"
    """The surrogate's states, from the stage ``embedding``."""
    LANGUAGE_MODEL = "language_model"
    """The language model's hidden states, from the stage ``embedding``."""
    ITEMS = "items"
    """Made of the items in history and target, where no job has made embeddings."""


def item_vectors(samples: Samples, n_items: int) -> Float32 | None:
    """Make [n, d] vectors of the items in each sample, by a truncated singular value decomposition.

    Samples that share items, or that have items of the same users, are alike; a target counts as two items
    of the history. ``None`` if there are too few samples or items for two directions.
    """
    from sklearn.decomposition import TruncatedSVD

    dimensions = min(_DIMENSIONS, n_items - 1, len(samples) - 1)
    if dimensions < 2:
        return None
    matrix = _matrix(samples, n_items)
    directions = TruncatedSVD(dimensions, n_iter=_ITERATIONS, random_state=0).fit(
        matrix[_spread(len(samples))]
    )
    made: Float32 = directions.transform(matrix).astype(np.float32)
    return made


def _matrix(samples: Samples, n_items: int) -> "csr_array":
    """[n, I] the latest items of each history and the target, every row of length one."""
    from scipy.sparse import csr_array
    from sklearn.preprocessing import normalize

    first = np.maximum(samples.start, samples.target - _LATEST)
    counts = samples.target + 1 - first
    ends = np.cumsum(counts)
    places = np.arange(ends[-1]) - np.repeat(ends - counts, counts) + np.repeat(first, counts)
    weights = np.ones(len(places), np.float32)
    weights[ends - 1] = _TARGET_WEIGHT
    pointers = np.concatenate([[0], ends])
    shape = (len(samples), n_items)
    return normalize(csr_array((weights, samples.items[places], pointers), shape=shape))


def nearest(vectors: Float32, index: int, count: int) -> tuple[Int64, Float32]:
    """Find the ``count`` samples that are most like sample ``index``, without itself.

    Returns:
        Their indices, the most similar first, and the cosines of their vectors [n, d] with its own.
    """
    own = _unit(vectors[index : index + 1])[0]
    cosines: Float32 = np.concatenate([_unit(part) @ own for part in _chunks(vectors)])
    cosines[index] = -np.inf
    count = min(count, len(vectors) - 1)
    best = np.argsort(-cosines, kind="stable")[:count]
    return best, cosines[best]


def on_a_plane(vectors: Float32) -> tuple[Float32, tuple[float, float]]:
    """Project [n, d] vectors of length one onto the two directions in which they differ most (PCA).

    Returns:
        [n, 2] places between 0 and 1 with one scale for both axes, far-off ones moved to the border; and
        the shares of the variance that the two directions have.
    """
    from sklearn.decomposition import PCA

    if min(vectors.shape) < 2:
        return np.full((len(vectors), 2), 0.5, np.float32), (0.0, 0.0)
    fitted: Any = PCA(2, svd_solver="covariance_eigh").fit(
        _unit(vectors[_spread(len(vectors))]).astype(np.float64)
    )
    places = np.concatenate([fitted.transform(_unit(part)) for part in _chunks(vectors)])
    low, high = np.percentile(places, [_TAIL, 100 - _TAIL], axis=0)
    reach = float((high - low).max()) or 1.0
    scaled = (places - (low + high) / 2) / reach + 0.5
    first, second = np.nan_to_num(fitted.explained_variance_ratio_).tolist()
    return np.clip(scaled, 0, 1).astype(np.float32), (first, second)


def inside(places: Float32, corners: Float32) -> npt.NDArray[np.bool_]:
    """[n] whether each of ``places`` [n, 2] is within the outline through ``corners`` [c, 2].

    An outline that crosses itself leaves out what it goes round twice: a place is inside if a ray from it
    to the right crosses the outline an odd number of times.
    """
    found = np.zeros(len(places), bool)
    x, y = places[:, 0], places[:, 1]
    for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y1 != y2:
            crosses = (y1 > y) != (y2 > y)
            found ^= crosses & (x < x1 + (y - y1) / (y2 - y1) * (x2 - x1))
    return found


def as_many_at_random(selected: npt.NDArray[np.bool_]) -> Int64:
    """[k] indices of as many random samples as are selected, the same ones in every picture."""
    return np.random.default_rng(0).choice(len(selected), int(selected.sum()), replace=False)


def _spread(count: int) -> Int64:
    """Indices of at most ``_FITTED`` samples, evenly spread."""
    kept = min(count, _FITTED)
    return np.arange(kept) * count // kept


def _chunks(vectors: Float32) -> list[Float32]:
    rows = max(1, _NUMBERS // vectors.shape[1])
    return [vectors[start : start + rows] for start in range(0, len(vectors), rows)]


def _unit(vectors: Float32) -> Float32:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)
