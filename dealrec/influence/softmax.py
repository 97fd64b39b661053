"""The softmax of influence's loss: over the whole catalogue, or over items that stand for it.

A pass over ``n`` samples with the whole catalogue costs ``n × I``, which grows with the square of a
data set that gains items as it gains users. With ``K`` items that stand for the catalogue, chosen
once and the same for every sample, it costs ``n × K``, and the loss is still a fixed function of
the parameters: what it loses is exactness, not determinism.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dealrec.data.dataset import Int64


@dataclass(frozen=True)
class CatalogueSoftmax:
    """Columns of the logits: the shared items; then, unless these are all items, the target's own.

    A shared item ``i`` that was taken with probability ``π_i`` counts ``1/π_i`` times (its logit is
    raised by ``-log π_i``), so that the sum over the columns is an unbiased estimate of the sum over
    the catalogue. One that is the target counts as the target alone.
    """

    shared: Tensor | None
    """[K] int64 dense items; ``None``: the whole catalogue."""
    raised: Tensor | None
    """[K + 1], ``-log π``, and 0 for the target's own column."""
    columns: int
    place: Tensor | None = None
    """[I] int64, the column of each item; that of the target's own where it is not shared."""

    @classmethod
    def whole(cls, n_items: int) -> "CatalogueSoftmax":
        """Every item, exactly."""
        return cls(None, None, n_items)

    @classmethod
    def drawn(
        cls, frequencies: Int64, count: int, dtype: torch.dtype, device: torch.device, seed: int = 0
    ) -> "CatalogueSoftmax":
        """``count`` items for the catalogue, the frequent ones rather ([I] counts); all if it has fewer."""
        if count >= len(frequencies):
            return cls.whole(len(frequencies))
        chances = inclusion_probabilities(frequencies, count)
        items = systematic_draw(chances, np.random.default_rng(seed))
        raised = torch.from_numpy(np.append(-np.log(chances[items]), 0.0)).to(device, dtype)
        place = torch.full((len(frequencies),), len(items), device=device)
        shared = torch.from_numpy(items).to(device)
        place[shared] = torch.arange(len(items), device=device)
        return cls(shared, raised, len(items) + 1, place)

    @property
    def description(self) -> str:
        """What the loss is, in words."""
        if self.shared is None:
            return "full_softmax"
        return f"softmax over {len(self.shared):,} drawn items and the target"

    @property
    def fused(self) -> bool:
        """Whether :meth:`expected_vectors` holds no probabilities."""
        return self.shared is None

    def shared_vectors(self, vectors: Tensor) -> Tensor:
        """[I, d] item vectors → [K, d], those of the shared columns."""
        return vectors if self.shared is None else vectors[self.shared]

    def logits(self, states: Tensor, vectors: Tensor, targets: Tensor) -> Tensor:
        """[M, d] states, [I, d] items, [M] targets → [M, columns]."""
        if self.raised is None or self.place is None:
            return states @ vectors.T
        # One pass over the matrix: the target's own column starts as one of zeros, and the few
        # shared columns that are a target are struck out at their places.
        columns = nn.functional.pad(self.shared_vectors(vectors), (0, 0, 0, 1))
        logits = torch.addmm(self.raised, states, columns.T)
        rows = torch.arange(len(targets), device=targets.device)
        logits[rows, self.place[targets]] = -torch.inf
        logits[:, -1] = (states * vectors[targets]).sum(1)
        return logits

    def products(self, states: Tensor, vectors: Tensor, targets: Tensor) -> Tensor:
        """[M, columns], ``vectorsᵀ·state`` of each column, neither raised nor struck out."""
        shared = states @ self.shared_vectors(vectors).T
        if self.shared is None:
            return shared
        return torch.cat([shared, (states * vectors[targets]).sum(1, keepdim=True)], 1)

    def losses(self, states: Tensor, vectors: Tensor, targets: Tensor) -> Tensor:
        """[M] cross-entropies."""
        logits = self.logits(states, vectors, targets)
        place = targets if self.shared is None else torch.full_like(targets, self.columns - 1)
        chosen = logits.gather(1, place[:, None]).squeeze(1)
        return torch.logsumexp(logits, 1) - chosen

    def expected_vectors(self, states: Tensor, vectors: Tensor, targets: Tensor) -> Tensor:
        """[M, d], the columns' vectors times the probabilities that [M, d] states give them.

        Over the whole catalogue this is attention with the states as queries and the items as both
        keys and values, without scaling: the fused kernel never writes the [M, I] probabilities.
        """
        if self.fused:
            return nn.functional.scaled_dot_product_attention(
                states[None, None], vectors[None, None], vectors[None, None], scale=1.0
            )[0, 0]
        p = self.logits(states, vectors, targets).softmax(1)
        return self.mean_vectors(p, vectors, targets)

    def mean_vectors(self, weights: Tensor, vectors: Tensor, targets: Tensor) -> Tensor:
        """[M, columns] → [M, d], the columns' vectors times their weights (probabilities, say)."""
        if self.shared is None:
            return weights @ vectors
        shared = weights[:, :-1] @ self.shared_vectors(vectors)
        return shared + weights[:, -1:] * vectors[targets]

    def spread(self, weights: Tensor, states: Tensor, targets: Tensor, n_items: int) -> Tensor:
        """[M, columns], [M, d] → [I, d]: to each item the states times its columns' weights."""
        return self.spread_into(
            states.new_zeros(n_items, states.shape[1]), weights, states, targets
        )

    def spread_into(
        self, total: Tensor, weights: Tensor, states: Tensor, targets: Tensor
    ) -> Tensor:
        """:meth:`spread` onto [I, d] ``total``, which is given back; touches the columns' items alone."""
        if self.shared is None:
            return total.add_(weights.T @ states)
        total.index_add_(0, self.shared, (weights[:, :-1].T @ states).to(total.dtype))
        return total.index_add_(0, targets, (weights[:, -1:] * states).to(total.dtype))


def inclusion_probabilities(frequencies: Int64, count: int) -> npt.NDArray[np.float64]:
    """[I] in proportion to the frequency plus one, at most 1; their sum is ``count`` (below ``I``)."""
    weights = frequencies + 1.0
    certain = np.zeros(len(weights), dtype=np.bool_)
    while True:
        scale = (count - certain.sum()) / weights[~certain].sum()
        more = ~certain & (weights * scale >= 1)
        if not more.any():
            return np.where(certain, 1.0, weights * scale)
        certain |= more


def systematic_draw(
    chances: npt.NDArray[np.float64], generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Distinct items, each with its own chance, as many as the chances sum to; ascending."""
    order = generator.permutation(len(chances))
    ends = np.cumsum(chances[order])
    count = round(float(ends[-1]))
    points = (np.arange(count) + generator.random()) * (ends[-1] / count)
    places = np.minimum(np.searchsorted(ends, points, side="right"), len(order) - 1)
    return np.unique(order[places]).astype(np.int64)
