"""``round_robin``: validation samples take turns in choosing the sample that is most like them."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from dealrec.config import Normalisation, SelectionConfig, TurnVectors
from dealrec.selection.interface import Float32, Float64, Int64, Scores, Selection, priorities
from dealrec.selection.normalisation import normalise
from dealrec.selection.results import as_one

_BLOCK = 4096
_STEPS = 1e6
"""Cosines are told apart to this many parts of one; the rest is rounding of sums."""
_FIRST_LOOK, _LONGEST_LOOK = 64, 4096


def select_in_turns(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Let every validation sample choose in turn, so that each is served, not their mean alone.

    A turn takes the sample with the highest cosine that no earlier turn has taken. ``turn_vectors``
    says which vectors are compared.

    - ``embedding``: RDS+ of Ivison et al. 2025 (*Large-Scale Data Selection for Instruction Tuning*,
      arXiv 2503.01807), which averages hidden states with weights that grow with the position. Here the
      vectors are those of the stage ``embedding``: with its source ``language_model`` a plain mean.
    - ``gradients``: projected gradients of the language model, less their mean over the samples: LESS
      (Xia et al., ICML 2024, arXiv 2402.04333) with round-robin in place of the highest mean, which
      Nayak et al. 2026 (arXiv 2602.14696) find to hold up best at small budgets. ``gradients.reduction:
      mean``, the default, makes them gradients a token. One checkpoint is used, and no Adam.

    The order of the turns is drawn by seed and stays the same in every round; equal cosines are
    drawn too. A larger budget contains the smaller one. The overall score is a sample's highest cosine
    with any validation sample.
    """
    of_gradients = config.turn_vectors is TurnVectors.GRADIENTS
    vectors = scores.gradients if of_gradients else scores.embedding
    assert vectors is not None and vectors.validation is not None
    middle = np.zeros(vectors.samples.shape[1])
    if of_gradients:
        middle = vectors.samples.mean(axis=0, dtype=np.float64)
    queries = _directions(vectors.validation, middle)
    likeness = _Likeness(vectors.samples, middle, queries, priorities(scores, config.seed))
    turns = np.random.default_rng(config.seed).permutation(len(queries))
    taken, overall = _take_turns(likeness, turns, budget)
    return as_one(taken, normalise(overall, Normalisation.MINMAX))


class _Likeness:
    """Cosines of ``n`` samples and ``m`` queries, of which only a block of rows is held at a time."""

    def __init__(
        self, samples: Float32, middle: Float64, queries: Float32, priority: Float64
    ) -> None:
        self._samples, self._middle = samples, middle
        self._queries, self._priority = queries, priority
        self.count = len(samples)

    def blocks(self, rows: Int64) -> Iterator[tuple[Int64, Float64]]:
        """Iterate over parts of ``rows`` and their [m, b] keys, by which a query prefers them.

        A key is the cosine in whole steps, less a random number below one, so that no two are equal.
        """
        for start in range(0, len(rows), _BLOCK):
            part = rows[start : start + _BLOCK]
            cosines = self._queries @ _directions(self._samples[part], self._middle).T
            yield part, np.rint(cosines * _STEPS).astype(np.float64) - self._priority[part]

    def nearest(self, rows: Int64, count: int) -> Int64:
        """[m, count] of ``rows`` for each query, the most similar one first."""
        best: Int64 = np.empty((len(self._queries), 0), dtype=np.int64)
        keys: Float64 = np.empty((len(self._queries), 0))
        for part, found in self.blocks(rows):
            keys = np.concatenate([keys, found], axis=1)
            best = np.concatenate([best, np.broadcast_to(part, found.shape)], axis=1)
            order = np.argsort(-keys, axis=1, kind="stable")[:, :count]
            keys = np.take_along_axis(keys, order, axis=1)
            best = np.take_along_axis(best, order, axis=1)
        return best

    def highest(self) -> Float64:
        """[n] highest cosine of each sample with any query."""
        highest = np.empty(self.count)
        for part, keys in self.blocks(np.arange(self.count)):
            highest[part] = np.ceil(keys.max(axis=0)) / _STEPS
        return highest


def _take_turns(likeness: _Likeness, turns: Int64, budget: int) -> tuple[Int64, Float64]:
    """Return the [budget] samples in the order in which they were taken, and the overall score."""
    free: npt.NDArray[np.bool_] = np.ones(likeness.count, dtype=np.bool_)
    taken: list[int] = []
    looks = _FIRST_LOOK
    while len(taken) < budget:
        # Each query looks at a few samples; when others have taken all of them, all look again.
        lines = likeness.nearest(np.flatnonzero(free), looks)
        places = np.zeros(len(turns), dtype=np.int64)
        while len(taken) < budget:
            query = turns[len(taken) % len(turns)]
            line = lines[query]
            while places[query] < len(line) and not free[line[places[query]]]:
                places[query] += 1
            if places[query] == len(line):
                break
            chosen = int(line[places[query]])
            taken.append(chosen)
            free[chosen] = False
        looks = min(4 * looks, _LONGEST_LOOK)
    return np.array(taken, dtype=np.int64), likeness.highest()


def _directions(vectors: Float32, middle: Float64) -> Float32:
    """Vectors of length 1 from ``middle`` [d] to each of ``vectors`` [k, d]; 0 where they are equal."""
    found = (vectors - middle).astype(np.float32)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    directions: Float32 = np.zeros_like(found)
    np.divide(found, lengths, out=directions, where=lengths > 0)
    return directions
