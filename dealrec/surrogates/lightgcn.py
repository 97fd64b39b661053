"""LightGCN: item vectors that are averaged over the graph of users and items (He et al., SIGIR 2020)."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from dealrec.config import InfluenceParameters, SurrogateConfig
from dealrec.data.dataset import Dataset
from dealrec.surrogates.interface import Surrogate, TrainingStates
from dealrec.surrogates.item_graphs import normalised, users_and_items
from dealrec.surrogates.layers import Dropout
from dealrec.surrogates.sparse import SparseMatrix


class LightGCN(Surrogate):
    """A graph of users and items without order, for histories that are sets.

    He et al., arXiv 2002.02126: with the matrix ``R`` of training choices [U, I] and the numbers of
    choices ``D_U``, ``D_I``, a layer maps the vectors of users and items to ``R̂ e_I`` and ``R̂ᵀ e_U``,
    ``R̂ = D_U^(-1/2) R D_I^(-1/2)``, and the vectors of all layers are averaged. Here a user has no vector of
    its own, since a sample is a history and users can be new. Without it a user is what its items are, only
    every other layer of a node differs from zero, and the model is a function of the items' vectors ``E``::

        e = (1 / (L + 1)) Σ_{l=0..L} (R̂ᵀR̂)^l E                  the items' vectors
        s = |S|^(-1/2) Σ_{i in S} |N_i|^(-1/2) e_i               the state of the set S of items

    ``L`` is ``config.layers`` and ``N_i`` are the users of item ``i`` in training (at least 1). State ``t``
    is that of the set of items ``0..t``: neither their order nor their number of times counts. In training
    every item is predicted from all others of its sequence, so that order plays no part there either. The
    loss is the one that ``config.loss`` names instead of the paper's BPR; dropout falls on ``E``.

    ``R̂`` is fixed. It holds the choices of all samples, those of the targets included, as in the paper. So
    a sample's loss depends on other samples through ``R̂``, but not through parameters.
    """

    scales: Tensor
    """[I + 1] ``|N_i|^(-1/2)``, and 0 for padding."""

    def __init__(self, n_items: int, config: SurrogateConfig) -> None:
        super().__init__()
        self.n_items, self.max_length, self.layers = n_items, config.max_length, config.layers
        self.item_embedding = nn.Embedding(n_items + 1, config.hidden_size, padding_idx=n_items)
        nn.init.normal_(self.item_embedding.weight, std=0.1)
        nn.init.zeros_(self.item_embedding.weight.data[n_items])
        self.dropout = Dropout(config.dropout)
        self.graph = SparseMatrix(0, n_items)
        self.register_buffer("scales", torch.cat([torch.ones(n_items), torch.zeros(1)]))

    def prepare(self, dataset: Dataset) -> None:
        """Keep the graph of the training interactions."""
        chosen = users_and_items(dataset)
        self.graph.keep(normalised(chosen))
        counts = np.maximum(np.asarray(chosen.sum(0)).ravel(), 1)
        self.scales[: self.n_items] = torch.from_numpy(counts**-0.5)

    def item_vectors(self) -> Tensor:
        """Return the averages [I, d] over the layers."""
        layer: Tensor = self.dropout(self.item_embedding.weight[: self.n_items])
        total = layer
        for _ in range(self.layers):
            layer = self.graph.backwards(self.graph(layer))
            total = total + layer
        return total / (self.layers + 1)

    def forward(self, sequences: Tensor) -> Tensor:
        """Map sequences [B, T] int64 to the states [B, T, d] of the sets of items so far."""
        return self._prefixes(sequences, self.item_vectors())

    def training_states(self, sequences: Tensor) -> TrainingStates:
        """Predict each item from the set of the sequence's other items.

        An item that is alone in its sequence is not predicted, unless every one is.
        """
        items = self.item_vectors()
        parts, firsts = self._parts(sequences, items)
        own = self._vectors(sequences, items)
        others = (firsts.sum(1, keepdim=True) - 1).clamp(min=0)
        asked = sequences != self.n_items
        if bool((asked & (others > 0)).any()):
            asked &= others > 0
        sizes = others.clamp(min=1).to(own.dtype)[:, :, None]
        states = (parts.sum(1, keepdim=True) - own) / sizes**0.5
        return TrainingStates(states[asked], sequences[asked])

    def ranker(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Compute the items' vectors once."""
        with torch.no_grad():
            items = self.item_vectors()

        def scores(sequences: Tensor, lengths: Tensor) -> Tensor:
            rows = torch.arange(len(sequences), device=sequences.device)
            return self._prefixes(sequences, items)[rows, lengths - 1] @ items.T

        return scores

    def parameter_sets(self) -> Mapping[InfluenceParameters, tuple[str, ...]]:
        """Return all parameters; nothing is learned but the items' vectors."""
        return {InfluenceParameters.ALL: ("item_embedding.weight",)}

    def _prefixes(self, sequences: Tensor, items: Tensor) -> Tensor:
        """Compute the states [B, T, d] from the items' vectors [I, d]."""
        parts, firsts = self._parts(sequences, items)
        sizes = firsts.cumsum(1).clamp(min=1).to(parts.dtype)
        return parts.cumsum(1) / sizes[:, :, None] ** 0.5

    def _parts(self, sequences: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the scaled vectors [B, T, d], 0 where an item came before, and where it did not, [B, T]."""
        alike = sequences[:, :, None] == sequences[:, None, :]
        firsts = ~alike.tril(-1).any(2) & (sequences != self.n_items)
        return self._vectors(sequences, items) * firsts[:, :, None], firsts

    def _vectors(self, sequences: Tensor, items: Tensor) -> Tensor:
        """Compute ``|N_i|^(-1/2) e_i`` of each item, [B, T, d]."""
        known = sequences.clamp(max=self.n_items - 1)
        return items[known] * self.scales[sequences][:, :, None]
