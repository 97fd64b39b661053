"""What a selector takes and what it gives back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.config import SelectionConfig
from dealrec.config.selectors import Need
from dealrec.errors import FieldError, InputError
from dealrec.selection.vectors import Vectors

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]

HARD_PRUNED = -1
"""The stratum of a sample that hard pruning dropped."""

NOT_CANDIDATE = -2
"""The stratum of a sample whose effort was not asked for."""

_ARRAYS = ("influence", "effort", "targets", "history_lengths", "el2n", "grand")


@dataclass(frozen=True)
class Scores:
    """What selectors look at: the raw scores of ``n`` samples, in dense order, and their vectors.

    All but influence may be absent; a selector that needs what is absent is refused by
    :func:`~dealrec.selection.select.select`.

    Raises :class:`InputError` (``non_finite_score``) on construction, naming the first sample whose
    score is NaN or infinite.
    """

    keys: pa.Array
    """[n] distinct text keys."""
    influence: Float64
    """[n]; bigger means that removing the sample hurts more."""
    effort: Float64 | None
    """[n] gradient norms, or ``None`` where no LLM was asked."""
    candidates: npt.NDArray[np.bool_] | None = None
    """[n] whether the sample's effort was asked for; ``None``: everyone's. Other samples' effort is
    NaN, and what looks at effort never selects them."""
    key_ranks: Int64 | None = None
    """[n] the places of the keys, in the order of their bytes, among those of ``population``
    samples; given where these are the candidates among more."""
    population: int | None = None
    targets: Int32 | None = None
    """[n] the dense item that each sample's answer names."""
    history_lengths: Int64 | None = None
    """[n] items before the target."""
    el2n: Float64 | None = None
    """[n]; see :mod:`dealrec.difficulty`."""
    grand: Float64 | None = None
    """[n]."""
    embedding: Vectors | None = None
    gradients: Vectors | None = None
    """Projected, of the language model."""

    def __post_init__(self) -> None:
        for name, count in self._counts():
            if count != len(self.keys):
                raise ValueError(f"{count} {name} for {len(self.keys)} samples")
        for name in ("influence", "effort", "el2n", "grand"):
            values = getattr(self, name)
            if values is None:
                continue
            missing = ~np.isfinite(values)
            if name == "effort" and self.candidates is not None:
                missing &= self.candidates
            bad = np.flatnonzero(missing)
            if len(bad):
                key = self.keys[int(bad[0])].as_py()
                raise InputError(
                    f"{len(bad):,} {name} score(s) are not finite; the first is of sample {key!r}.",
                    code="non_finite_score",
                    title="A score is not a number",
                    errors=[FieldError(f"{name}.{key}", "not finite")],
                )

    def __len__(self) -> int:
        return len(self.keys)

    def has(self, need: Need) -> bool:
        """Whether it is there to be looked at."""
        match need:
            case Need.VALIDATION_EMBEDDING:
                return self.embedding is not None and self.embedding.validation is not None
            case Need.VALIDATION_GRADIENTS:
                return self.gradients is not None and self.gradients.validation is not None
        return getattr(self, need.value) is not None

    def of_candidates(self) -> "Scores":
        """The candidates alone; their draws stay those that they have among all samples."""
        assert self.candidates is not None
        places = np.flatnonzero(self.candidates)
        ranks = np.empty(len(self), dtype=np.int64)
        ranks[self.key_order()] = np.arange(len(self))
        taken = replace(self.take(places), candidates=None, population=len(self))
        return replace(taken, key_ranks=ranks[places])

    def take(self, places: Int64) -> "Scores":
        """Those at ``places`` alone, in that order."""
        arrays = (*_ARRAYS, "candidates", "key_ranks")
        found: dict[str, Any] = {"keys": self.keys.take(pa.array(places))}
        for name in arrays:
            values = getattr(self, name)
            found[name] = None if values is None else values[places]
        for name in ("embedding", "gradients"):
            vectors: Vectors | None = getattr(self, name)
            found[name] = vectors and Vectors(vectors.samples[places], vectors.validation)
        return replace(self, **found)

    def _counts(self) -> Iterator[tuple[str, int]]:
        for name in _ARRAYS:
            if (values := getattr(self, name)) is not None:
                yield f"{name} values", len(values)
        for name in ("embedding", "gradients"):
            if (vectors := getattr(self, name)) is not None:
                yield f"vectors of {name}", len(vectors.samples)

    def key_order(self) -> Int64:
        """[n] indices that sort the samples by the bytes of their keys."""
        order = pc.sort_indices(self.keys.cast(pa.binary())).to_numpy()
        return np.asarray(order, dtype=np.int64)


@dataclass(frozen=True)
class StratumUse:
    """One stratum ``[low, high]`` of the overall score: how many samples it had and gave."""

    index: int
    low: float
    high: float
    available: int
    selected: int


@dataclass(frozen=True)
class Selection:
    """Which samples were taken, and where every sample stood."""

    indices: Int64
    """[budget] dense indices, ascending, distinct."""
    overall: Float64
    """[n] the score that strata were cut over."""
    stratum: Int32
    """[n]; ``HARD_PRUNED`` for samples dropped before strata were cut, ``NOT_CANDIDATE`` for those
    that could not be taken."""
    strata: Sequence[StratumUse]

    def selected(self) -> npt.NDArray[np.bool_]:
        """[n] whether each sample was taken."""
        mask = np.zeros(len(self.overall), dtype=np.bool_)
        mask[self.indices] = True
        return mask


class Selector(Protocol):
    """A way to spend a budget. Pure: the same arguments give the same selection."""

    def __call__(self, scores: Scores, budget: int, config: SelectionConfig) -> Selection:
        """Exactly ``budget`` of the samples; ``1 <= budget <= len(scores)`` is given."""


def priorities(scores: Scores, seed: int) -> Float64:
    """[n] uniform random numbers, one a sample; those who draw take the smallest.

    They are dealt out in the order of the keys' bytes, so that the order of the input does not
    matter, and a larger budget keeps what a smaller one took.
    """
    draws = np.random.default_rng(seed).random(scores.population or len(scores))
    if scores.key_ranks is not None:
        return draws[scores.key_ranks]
    dealt = np.empty(len(scores))
    dealt[scores.key_order()] = draws
    return dealt
