"""``d2``: balances difficulty and diversity by messages over a graph of neighbours."""

import numpy as np

from dealrec.config import Normalisation, SelectionConfig
from dealrec.selection.difficulty import difficulty
from dealrec.selection.interface import Float32, Float64, Int64, Scores, Selection, priorities
from dealrec.selection.normalisation import normalise
from dealrec.selection.results import as_one


def select_by_messages(scores: Scores, budget: int, config: SelectionConfig) -> Selection:
    """Select as Maharana et al., ICLR 2024 (*D2 Pruning*, arXiv 2310.07931).

    Every sample is joined to its ``neighbours`` nearest samples in the embedding. In the forward pass
    a sample's difficulty becomes ``x_i + Σ_j exp(−γ_f d_ij²) x_j`` over its neighbours. In the reverse
    pass the sample with the highest score is taken again and again, and each of its neighbours loses
    ``exp(−γ_r d_ij²)`` times that score. So hard regions are covered, but not twice.

    Distances are divided by their root mean square over the graph, so that γ has the same meaning for
    every embedding. Difficulty is normalised to [0, 1]. Ties are broken at random.
    """
    assert scores.embedding is not None
    # Samples in the order of their draws, so that the first of equal scores is taken.
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
    """A symmetric graph that joins each sample to its ``k`` nearest samples."""

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
        # Called without points, the library leaves each sample out of its own neighbours.
        nearest = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(vectors)
        away, places = nearest.kneighbors()
        squares = away.astype(np.float64) ** 2
        squares /= max(float(squares.mean()), float(np.finfo(np.float64).tiny))
        # A stored zero would not be an edge, so the square plus one is stored.
        rows = np.repeat(np.arange(count), k)
        one_way = csr_array((squares.ravel() + 1.0, (rows, places.ravel())), shape=(count, count))
        edges = one_way.maximum(one_way.T).tocsr()
        self._starts, self._places = edges.indptr.astype(np.int64), edges.indices.astype(np.int64)
        self._squares = edges.data - 1.0

    def beside(self, sample: int) -> tuple[Int64, Float64]:
        """Return the neighbours of a sample, and the squared distances to them."""
        here = slice(self._starts[sample], self._starts[sample + 1])
        return self._places[here], self._squares[here]

    def gathered(self, values: Float64, decay: float) -> Float64:
        """[n] sums of the neighbours' values, each weighted by its distance."""
        rows = np.repeat(np.arange(len(values)), np.diff(self._starts))
        messages = np.exp(-decay * self._squares) * values[self._places]
        return np.bincount(rows, weights=messages, minlength=len(values)).astype(np.float64)
