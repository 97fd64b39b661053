"""What a selector takes and what it gives back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.config import SelectionConfig
from dealrec.errors import FieldError, InputError

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]

HARD_PRUNED = -1
"""The stratum of a sample that hard pruning dropped."""

NOT_CANDIDATE = -2
"""The stratum of a sample whose effort was not asked for."""


@dataclass(frozen=True)
class Scores:
    """The raw scores of ``n`` samples, in dense order.

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

    def __post_init__(self) -> None:
        for name, values in (("influence", self.influence), ("effort", self.effort)):
            if values is None:
                continue
            if len(values) != len(self.keys):
                raise ValueError(f"{len(values)} {name} scores for {len(self.keys)} samples")
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

    def of_candidates(self) -> "Scores":
        """The candidates alone; their draws stay those that they have among all samples."""
        assert self.candidates is not None and self.effort is not None
        places = np.flatnonzero(self.candidates)
        ranks = np.empty(len(self), dtype=np.int64)
        ranks[self.key_order()] = np.arange(len(self))
        return Scores(
            keys=self.keys.take(pa.array(places)),
            influence=self.influence[places],
            effort=self.effort[places],
            key_ranks=ranks[places],
            population=len(self),
        )

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
