"""``d2``: difficulty and diversity balanced by messages over a graph of neighbours."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.difficulty import difficulty
from dealrec.selection.interface import Float32, Float64, Int64, Scores, Selection, priorities
from dealrec.selection.normalisation import normalise
from dealrec.selection.results import as_one


def select_by_messages(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Maharana et al., ICLR 2024 (*D2 Pruning*, arXiv 2310.07931).

    Every sample is joined to its ``neighbours`` nearest ones in the embedding. Forward: a sample's
    difficulty becomes ``x_i + Σ_j exp(−γ_f d_ij²) x_j`` over its neighbours. Reverse: the highest is
    taken, and each of its neighbours loses ``exp(−γ_r d_ij²)`` of its score; and so on. So hard
    regions are seen to, but not twice.

    Distances are divided by their root mean square over the graph, so that γ means the same for
    every embedding. Of ``difficulty`` the [0, 1] normalised score is used. Equal scores are drawn.
    """
    assert scores.embedding is not None
    # Samples in the order in which they would be drawn: the first of equal ones is taken.
    drawn = np.argsort(priorities(scores, config.seed), kind="stable")
    hard = difficulty(scores, config, Normalisation.MINMAX)[drawn]
    graph = _Graph(np.asarray(scores.embedding.samples)[drawn], config.neighbours)
    passed = hard + graph.gathered(hard, config.forward_decay)
    current = passed.copy()
    taken = np.empty(budget, dtype=np.int64)
    for place in range(budget):
        best = int(current.argmax())
        taken[place] = best
        beside, squares = graph.beside(best)
        current[beside] -= np.exp(-config.reverse_decay * squares) * current[best]
        current[best] = -np.inf
    overall = np.empty(len(scores))
    overall[drawn] = normalise(passed, Normalisation.MINMAX)
    return as_one(drawn[taken].astype(np.int64), overall)


class _Graph:
    """Each sample joined to its ``k`` nearest ones, and to those that it is nearest of."""

    def __init__(self, vectors: Float32, neighbours: int) -> None:
        from scipy.sparse import csr_array
        from sklearn.neighbors import NearestNeighbors

        count = len(vectors)
        k = min(neighbours, count - 1)
        self._starts: Int64 = np.zeros(count + 1, dtype=np.int64)
        self._places: Int64 = np.empty(0, dtype=np.int64)
        self._squares: Float64 = np.empty(0)
        if k < 1:
            return
        # Without points of its own to ask for, the library leaves each sample out of its neighbours.
        nearest = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(vectors)
        away, places = nearest.kneighbors()
        squares = away.astype(np.float64) ** 2
        squares /= max(float(squares.mean()), float(np.finfo(np.float64).tiny))
        # A stored zero would be no edge, so what is stored is one more than the square.
        rows = np.repeat(np.arange(count), k)
        one_way = csr_array((squares.ravel() + 1.0, (rows, places.ravel())), shape=(count, count))
        edges = one_way.maximum(one_way.T).tocsr()
        self._starts, self._places = edges.indptr.astype(np.int64), edges.indices.astype(np.int64)
        self._squares = edges.data - 1.0

    def beside(self, sample: int) -> tuple[Int64, Float64]:
        """Its neighbours, and the squared distances to them."""
        here = slice(self._starts[sample], self._starts[sample + 1])
        return self._places[here], self._squares[here]

    def gathered(self, values: Float64, decay: float) -> Float64:
        """[n] sums of the neighbours' values, each faded by its distance."""
        rows = np.repeat(np.arange(len(values)), np.diff(self._starts))
        messages = np.exp(-decay * self._squares) * values[self._places]
        return np.bincount(rows, weights=messages, minlength=len(values)).astype(np.float64)
