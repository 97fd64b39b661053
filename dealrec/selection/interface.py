"""The interface of selectors: the scores they take and the selection they return."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dealrec.config import SelectionConfig
from dealrec.config.selectors import Need
from dealrec.errors import FieldError, InputError
from dealrec.selection.titles import TitleTable
from dealrec.selection.vectors import Vectors

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]

HARD_PRUNED = -1
"""The stratum of a sample that hard pruning dropped."""

NOT_CANDIDATE = -2
"""The stratum of a sample whose effort was not computed."""

_ARRAYS = (
    "influence",
    "effort",
    "targets",
    "history_lengths",
    "times",
    "el2n",
    "grand",
    "likelihood",
    "ifd",
)


@dataclass(frozen=True)
class Scores:
    """The raw scores of ``n`` samples in dense order, and their vectors.

    All scores may be missing; :func:`~dealrec.selection.select.select` refuses a selector
    that needs a missing one.

    Raises:
        InputError: ``non_finite_score`` on construction; it names the first sample whose score is
            NaN or infinite.
    """

    keys: pa.Array
    """[n] distinct text keys."""
    influence: Float64 | None
    """[n]; the larger it is, the more the removal of the sample hurts. ``None`` for texts without ids."""
    effort: Float64 | None
    """[n] gradient norms of the language model, or ``None`` if they were not computed."""
    candidates: npt.NDArray[np.bool_] | None = None
    """[n] whether the sample's effort was computed; ``None`` means for all. The effort of other samples
    is NaN, and selectors that use effort never select them."""
    targets: Int32 | None = None
    """[n] dense item index of each sample's target."""
    history_lengths: Int64 | None = None
    """[n] number of items before the target."""
    times: Int64 | None = None
    """[n] timestamp of each sample's target."""
    day: float | None = None
    """The number of units of ``times`` in a day; ``None`` where these do not count from 1970."""
    el2n: Float64 | None = None
    """[n] EL2N scores; see :mod:`dealrec.difficulty`."""
    grand: Float64 | None = None
    """[n] GraNd scores."""
    likelihood: Float64 | None = None
    """[n] the surrogate's log-probability of the target, in nats."""
    ifd: Float64 | None = None
    """[n] ratios of losses; see :mod:`dealrec.difficulty.following`."""
    embedding: Vectors | None = None
    gradients: Vectors | None = None
    """Projected gradients of the language model."""
    titles: TitleTable | None = None
    """The samples as titles, whose vectors are those of the language model."""

    def __post_init__(self) -> None:
        for name, count in self._counts():
            if count != len(self.keys):
                raise ValueError(f"{count} {name} for {len(self.keys)} samples")
        for name in ("influence", "effort", "el2n", "grand", "likelihood", "ifd"):
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
                    f"{len(bad):,} of the {name} scores are not finite, such as that of sample {key!r}.",
                    code="non_finite_score",
                    title="A score is not a number",
                    errors=[FieldError(f"{name}.{key}", "is not finite")],
                )

    def __len__(self) -> int:
        return len(self.keys)

    def has(self, need: Need) -> bool:
        """Whether the scores or vectors of a need are present."""
        match need:
            case Need.VALIDATION_EMBEDDING:
                return self.embedding is not None and self.embedding.validation is not None
            case Need.VALIDATION_GRADIENTS:
                return self.gradients is not None and self.gradients.validation is not None
            case Need.VALIDATION_TITLES:
                return self.titles is not None and self.titles.validation is not None
        return getattr(self, need.value) is not None

    def of_candidates(self) -> "Scores":
        """Restrict to the candidates."""
        assert self.candidates is not None
        return replace(self.take(np.flatnonzero(self.candidates)), candidates=None)

    def take(self, places: Int64) -> "Scores":
        """Restrict to the samples at ``places``, in that order."""
        arrays = (*_ARRAYS, "candidates")
        found: dict[str, Any] = {"keys": self.keys.take(pa.array(places))}
        for name in arrays:
            values = getattr(self, name)
            found[name] = None if values is None else values[places]
        for name in ("embedding", "gradients"):
            vectors: Vectors | None = getattr(self, name)
            found[name] = vectors and Vectors(vectors.samples[places], vectors.validation)
        found["titles"] = self.titles and self.titles.take(places)
        return replace(self, **found)

    def _counts(self) -> Iterator[tuple[str, int]]:
        for name in _ARRAYS:
            if (values := getattr(self, name)) is not None:
                yield f"{name} values", len(values)
        for name in ("embedding", "gradients"):
            if (vectors := getattr(self, name)) is not None:
                yield f"vectors of {name}", len(vectors.samples)
        if self.titles is not None:
            yield "samples as titles", len(self.titles.targets)

    def key_order(self) -> Int64:
        """[n] indices that sort the samples by the bytes of their keys."""
        order = pc.sort_indices(self.keys.cast(pa.binary())).to_numpy()
        return np.asarray(order, dtype=np.int64)


@dataclass(frozen=True)
class StratumUse:
    """A stratum ``[low, high]`` of the overall score, with its available and selected samples."""

    index: int
    low: float
    high: float
    available: int
    selected: int


@dataclass(frozen=True)
class Selection:
    """The selected samples, and the score and stratum of every sample."""

    indices: Int64
    """[budget] dense indices, ascending, distinct."""
    overall: Float64
    """[n] score over which the strata were cut."""
    stratum: Int32
    """[n]; ``HARD_PRUNED`` for samples that were dropped before strata were cut, ``NOT_CANDIDATE`` for
    those that could not be selected."""
    strata: Sequence[StratumUse]

    def selected(self) -> npt.NDArray[np.bool_]:
        """[n] whether each sample was selected."""
        mask = np.zeros(len(self.overall), dtype=np.bool_)
        mask[self.indices] = True
        return mask


class Selector(Protocol):
    """A way to spend a budget; a pure function, so the same arguments give the same selection."""

    def __call__(self, scores: Scores, budget: int, config: SelectionConfig) -> Selection:
        """Select exactly ``budget`` samples; the caller ensures ``1 <= budget <= len(scores)``."""


def priorities(scores: Scores, seed: int, purpose: str = "") -> Float64:
    """[n] uniform random numbers in [0, 1), one a sample; a draw takes the samples with the smallest.

    A number is a hash (BLAKE2b) of the sample's key and the seed. So it depends on neither the order
    of the input nor the other samples, and a larger budget contains the smaller one. ``purpose``, at
    most 16 bytes, tells independent draws with the same seed apart.
    """
    salt, person = seed.to_bytes(8, "little"), purpose.encode()
    hashes = b"".join(
        blake2b(key, digest_size=8, salt=salt, person=person).digest()
        for key in scores.keys.cast(pa.binary()).to_pylist()
    )
    # The upper 53 bits, which a float holds exactly.
    return np.asarray((np.frombuffer(hashes, dtype="<u8") >> 11) * 2.0**-53, dtype=np.float64)
