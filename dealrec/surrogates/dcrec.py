"""DCRec: a sequence, two graphs of items, and contrast between them (Yang et al., WWW 2023)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dealrec.config import SurrogateConfig
from dealrec.data.dataset import Dataset
from dealrec.surrogates.contrast import (
    conformity_divergence,
    conformity_weights,
    contrast,
    without_pairs,
)
from dealrec.surrogates.interface import TokenwiseTail, TrainingStates
from dealrec.surrogates.item_graphs import alike, normalised, transitions, users_and_items
from dealrec.surrogates.sasrec import SASRec
from dealrec.surrogates.sparse import Sparse, SparseMatrix, product

_GRAPH_LAYERS = 2
"""The layers of both graphs, as in the authors' code."""
_CONTRASTED = 2048
"""The most positions of a batch that are contrasted, each with each."""


class DCRec(SASRec):
    """A transformer over the sequence, joined with two views of its last item from graphs of items.

    Yang et al., arXiv 2303.11780, and their code, github.com/HKUDS/DCRec. Let ``h_t`` be the transformer's
    state, ``A`` the symmetrically normalised matrix of how often two items stand beside each other, ``S``
    that of the cosine similarities of each item to the ``config.neighbours`` items that the most of its
    users chose too, with rows that sum to 1, and ``E`` the items' vectors, which also score::

        z_G = LayerNorm(E + (E + GE + G²E) / 3)                  for G = A and G = S
        s_t = Σ_v softmax_v(aᵀ W v) v                            over v = h_t, z_A[x_t], z_S[x_t]

    Training adds, over the positions of a batch (:mod:`dealrec.surrogates.contrast`)::

        contrast · mean(ω · NCE(h, z_A[x]) + (max ω − ω) · NCE(z_A[x], z_S[x]))
        + conformity_weight · KL(N(conformity, 0.1) ‖ ω)

    ``NCE`` tells a position's two views from the views of the batch's other positions, and ``ω`` is the
    conformity: how much an item's view owes to other users' sequences.

    These differ from the authors' code. Attention is causal, so that one pass serves all prefixes of a
    sequence, where they make each prefix a sample and attend both ways. Dropout falls on ``E`` before the
    graphs, not on edges too. ``A`` is normalised once, as in the paper. Neighbours are averaged over all,
    not over ten that are drawn. Held-out users are scored with the graphs of training.

    The losses that training adds tie the samples of a batch together, and no single sample has a part of
    them. Influence is about the sample losses alone, with ``A`` and ``S`` fixed.
    """

    def __init__(self, n_items: int, config: SurrogateConfig) -> None:
        super().__init__(n_items, config)
        self.config = config
        self.transitions, self.alike = (SparseMatrix(n_items, n_items) for _ in range(2))
        size = config.hidden_size
        self.graph_norm = nn.LayerNorm(size)
        self.fusion = nn.Parameter(torch.empty(size, size))
        self.fusion_weights = nn.Parameter(torch.empty(size))
        for parameter in (self.fusion, self.fusion_weights):
            nn.init.normal_(parameter, std=0.02)

    def prepare(self, dataset: Dataset) -> None:
        """Keep both graphs of the training interactions."""
        self.transitions.keep(normalised(transitions(dataset)))
        self.alike.keep(alike(users_and_items(dataset), self.config.neighbours))

    def forward(self, sequences: Tensor) -> Tensor:
        """Map sequences [B, T] int64 to states [B, T, d]."""
        return self._fused(super().forward(sequences), *self._views_of(sequences))

    def training_states(self, sequences: Tensor) -> TrainingStates:
        """Predict every item after the first; add the contrast of the views before it."""
        inputs, targets = sequences[:, :-1], sequences[:, 1:]
        real = targets != self.n_items
        read, hidden = inputs[real], super().forward(inputs)[real]
        by_transition, by_alike = self._view(self.transitions), self._view(self.alike)
        views = by_transition[read], by_alike[read]
        states = self._fused(hidden, *views)
        if not self.config.contrast and not self.config.conformity_weight:
            return TrainingStates(states, targets[real])
        picked = torch.arange(0, len(read), -(-len(read) // _CONTRASTED), device=read.device)
        columns = torch.nonzero(real)[picked, 1]
        conformity = self._conformity(sequences, by_transition, read[picked], columns == 0)
        added = self._added(conformity, hidden[picked], *(view[picked] for view in views))
        return TrainingStates(states, targets[real], added)

    def ranker(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Compute the views of the graphs once."""
        with torch.no_grad():
            views = self._view(self.transitions), self._view(self.alike)

        def scores(sequences: Tensor, lengths: Tensor) -> Tensor:
            place = torch.arange(len(sequences), device=sequences.device), lengths - 1
            hidden, last = SASRec.forward(self, sequences)[place], sequences[place]
            return self._fused(hidden, *(view[last] for view in views)) @ self.item_vectors().T

        return scores

    def before_attention_output(self, sequences: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the last block's attention context [B, T, d], and [B, T, 3d] of what follows needs.

        These are the block's input and both views of the last item.
        """
        context, hidden = super().before_attention_output(sequences)
        return context, torch.cat([hidden, *self._views_of(sequences)], -1)

    def entering_at(
        self, sequences: Tensor, rows: Tensor, columns: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute both at ``M`` places, [M, d] and [M, 3d]."""
        return TokenwiseTail.entering_at(self, sequences, rows, columns)

    def after_attention_output(self, projected: Tensor, residual: Tensor) -> Tensor:
        """Apply the rest of the last block and join the views, token by token."""
        hidden, by_transition, by_alike = residual.chunk(3, -1)
        return self._fused(
            super().after_attention_output(projected, hidden), by_transition, by_alike
        )

    def last_block(self) -> tuple[str, ...]:
        """Return the prefixes of the last transformer block and of what joins the views."""
        return *super().last_block(), "fusion"

    def _fused(self, *views: Tensor) -> Tensor:
        """Join views [..., d] by the softmax of what they weigh."""
        mixed = torch.stack(views)
        weights = (mixed @ self.fusion @ self.fusion_weights).softmax(0)
        return (mixed * weights[..., None]).sum(0)

    def _views_of(self, sequences: Tensor) -> tuple[Tensor, Tensor]:
        """Compute both views [B, T, d] of each item; padding has those of the last item."""
        known = sequences.clamp(max=self.n_items - 1)
        return self._view(self.transitions)[known], self._view(self.alike)[known]

    def _view(self, graph: SparseMatrix) -> Tensor:
        """Compute ``z_G`` of all items, [I, d]."""
        return self._propagated(graph.own, graph.transposed)

    def _propagated(self, graph: Sparse, transposed: Sparse) -> Tensor:
        items = layer = self.dropout(self.item_vectors())
        total = items
        for _ in range(_GRAPH_LAYERS):
            layer = product(layer, graph, transposed)
            total = total + layer
        view: Tensor = self.graph_norm(items + total / (_GRAPH_LAYERS + 1))
        return view

    def _conformity(self, sequences: Tensor, view: Tensor, items: Tensor, first: Tensor) -> Tensor:
        """Compute ``ω`` [M] of items; ``first`` [M] says that a position has no other before it."""
        graph = self.transitions.own
        first_of, second_of = sequences[:, :-1], sequences[:, 1:]
        real = second_of != self.n_items
        others = without_pairs(graph, first_of[real], second_of[real])
        alone = self._propagated(others, others)  # both are symmetric
        return conformity_weights(graph, others, view, alone, items, first, self.config.conformity)

    def _added(
        self, conformity: Tensor, hidden: Tensor, by_transition: Tensor, by_alike: Tensor
    ) -> Tensor:
        config = self.config
        near = contrast(hidden, by_transition, config.temperature)
        far = contrast(by_transition, by_alike, config.temperature)
        own = conformity.max() - conformity
        told = config.contrast * (conformity * near + own * far).mean()
        return told + config.conformity_weight * conformity_divergence(
            conformity, config.conformity
        )
