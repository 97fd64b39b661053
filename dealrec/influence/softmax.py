"""The softmax in the loss of influence, over the whole catalogue or over a sample of its items.

A pass over ``n`` samples with the whole catalogue costs ``n × I``. If a data set gains items as it
gains users, this grows with its square. With ``K`` sampled items, drawn once for all samples, a pass
costs ``n × K``. The loss is then no longer exact, but it is still a fixed function of the parameters.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dealrec.data.dataset import Int64


@dataclass(frozen=True)
class CatalogueSoftmax:
    """The softmax over columns: the shared items and, unless these are all items, the token's target.

    A shared item ``i`` that was drawn with probability ``π_i`` counts ``1/π_i`` times: its logit is
    raised by ``-log π_i``. So the sum over the columns is an unbiased estimate of the sum over the
    catalogue. A shared item that is the target counts as the target alone.
    """

    shared: Tensor | None
    """[K] int64 dense items; ``None`` stands for the whole catalogue."""
    raised: Tensor | None
    """[K + 1] ``-log π`` of the shared items, and 0 for the target's own column."""
    columns: int
    """The number of columns, the target's own included."""
    place: Tensor | None = None
    """[I] int64 the column of each item; the target's own column for items that are not shared."""

    @classmethod
    def whole(cls, n_items: int) -> "CatalogueSoftmax":
        """Return the exact softmax over every item."""
        return cls(None, None, n_items)

    @classmethod
    def drawn(
        cls, frequencies: Int64, count: int, dtype: torch.dtype, device: torch.device, seed: int = 0
    ) -> "CatalogueSoftmax":
        """Draw ``count`` shared items, or take all if there are fewer.

        ``frequencies`` [I] count the items in training; frequent items are drawn with a higher
        probability, see :func:`inclusion_probabilities`.
        """
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
        """The name of the loss in manifests."""
        if self.shared is None:
            return "full_softmax"
        return f"softmax over {len(self.shared):,} drawn items and the target"

    @property
    def fused(self) -> bool:
        """Whether :meth:`expected_vectors` runs without storing the probabilities."""
        return self.shared is None

    def shared_vectors(self, vectors: Tensor) -> Tensor:
        """Return the shared columns' vectors [K, d] of [I, d] item vectors."""
        return vectors if self.shared is None else vectors[self.shared]

    def logits(self, states: Tensor, vectors: Tensor, targets: Tensor) -> Tensor:
        """Compute logits [M, columns] from [M, d] states, [I, d] items and [M] targets."""
        if self.raised is None or self.place is None:
            return states @ vectors.T
        # The matrix is passed over once: the target's own column is a column of zeros at first, and
        # the few shared columns that are targets are struck out at their places.
        columns = nn.functional.pad(self.shared_vectors(vectors), (0, 0, 0, 1))
        logits = torch.addmm(self.raised, states, columns.T)
        rows = torch.arange(len(targets), device=targets.device)
        logits[rows, self.place[targets]] = -torch.inf
        logits[:, -1] = (states * vectors[targets]).sum(1)
        return logits

    def products(self, states: Tensor, vectors: Tensor, targets: Tensor) -> Tensor:
        """Compute ``vectorsᵀ·state`` of each column, [M, columns], neither raised nor struck out."""
        shared = states @ self.shared_vectors(vectors).T
        if self.shared is None:
            return shared
        return torch.cat([shared, (states * vectors[targets]).sum(1, keepdim=True)], 1)

    def losses(self, states: Tensor, vectors: Tensor, targets: Tensor) -> Tensor:
        """Compute the cross-entropies [M]."""
        logits = self.logits(states, vectors, targets)
        place = targets if self.shared is None else torch.full_like(targets, self.columns - 1)
        chosen = logits.gather(1, place[:, None]).squeeze(1)
        return torch.logsumexp(logits, 1) - chosen

    def expected_vectors(self, states: Tensor, vectors: Tensor, targets: Tensor) -> Tensor:
        """Compute the expected vectors [M, d] of the columns under the probabilities of [M, d] states.

        Over the whole catalogue this is attention without scaling, with the states as queries and the
        items as both keys and values. The fused kernel never stores the [M, I] probabilities.
        """
        if self.fused:
            return nn.functional.scaled_dot_product_attention(
                states[None, None], vectors[None, None], vectors[None, None], scale=1.0
            )[0, 0]
        p = self.logits(states, vectors, targets).softmax(1)
        return self.mean_vectors(p, vectors, targets)

    def mean_vectors(self, weights: Tensor, vectors: Tensor, targets: Tensor) -> Tensor:
        """Sum the columns' vectors times their weights [M, columns] (such as probabilities) to [M, d]."""
        if self.shared is None:
            return weights @ vectors
        shared = weights[:, :-1] @ self.shared_vectors(vectors)
        return shared + weights[:, -1:] * vectors[targets]

    def spread(self, weights: Tensor, states: Tensor, targets: Tensor, n_items: int) -> Tensor:
        """Sum states [M, d] times column weights [M, columns] over the tokens for each item, [I, d]."""
        return self.spread_into(
            states.new_zeros(n_items, states.shape[1]), weights, states, targets
        )

    def spread_into(
        self, total: Tensor, weights: Tensor, states: Tensor, targets: Tensor
    ) -> Tensor:
        """Add :meth:`spread` to ``total`` [I, d] in place, for the columns' items alone; return it."""
        if self.shared is None:
            return total.add_(weights.T @ states)
        total.index_add_(0, self.shared, (weights[:, :-1].T @ states).to(total.dtype))
        return total.index_add_(0, targets, (weights[:, -1:] * states).to(total.dtype))


def inclusion_probabilities(frequencies: Int64, count: int) -> npt.NDArray[np.float64]:
    """Compute [I] probabilities in proportion to the frequency plus one, each at most 1.

    Their sum is ``count``, which must be below ``I``.
    """
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
    """Draw as many distinct items as the ``chances`` [I] sum to, each with its chance; ascending."""
    order = generator.permutation(len(chances))
    ends = np.cumsum(chances[order])
    count = round(float(ends[-1]))
    points = (np.arange(count) + generator.random()) * (ends[-1] / count)
    places = np.minimum(np.searchsorted(ends, points, side="right"), len(order) - 1)
    return np.unique(order[places]).astype(np.int64)
