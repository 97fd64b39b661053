"""What a surrogate is: the one interface that training, evaluation and influence know."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dealrec.config import InfluenceParameters


class Surrogate(nn.Module, ABC):
    """A causal sequential recommender whose scores are inner products with item vectors.

    With ``B`` sequences of ``T`` items, ``I`` items in the catalogue and states of ``d`` numbers:
    ``state[b, t] · item_vectors[i]`` is the score of item ``i`` as the one after ``t``. Sequences are
    int64 dense item indices, oldest first, padded **on the right** with ``n_items``. State ``t`` looks
    at items ``0..t`` of its own row alone, so padding changes no state of a real item, and no
    sample of a batch changes another.

    Subclasses are called through ``torch.func.functional_call``: parameters are only read in
    ``forward``, and everything below has first and second derivatives in both modes (explicit
    attention, no fused kernels).
    """

    n_items: int
    max_length: int

    @abstractmethod
    def forward(self, sequences: Tensor) -> Tensor:
        """[B, T] int64 → [B, T, d] states. Sequences are at most ``max_length`` long."""

    @abstractmethod
    def item_vectors(self) -> Tensor:
        """[I, d], without the padding item."""

    @abstractmethod
    def parameter_sets(self) -> Mapping[InfluenceParameters, tuple[str, ...]]:
        """Names of the parameters (as in ``named_parameters``) in each set that this model has."""

    def vectors_of(self, items: Tensor) -> Tensor:
        """[...] int64 items → [..., d], rows of :meth:`item_vectors`."""
        return self.item_vectors()[items]

    def scores(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """[B, I] scores of the whole catalogue as the item after each sequence's last one.

        ``lengths`` is [B] int64, the real items of each row, at least 1.
        """
        states = self(sequences)[torch.arange(len(sequences), device=sequences.device), lengths - 1]
        scores: Tensor = states @ self.item_vectors().T
        return scores

    def sample_losses(self, sequences: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """[B] weighted sums of the full-softmax losses of each row's positions.

        ``targets`` [B, T] are the items that follow each position, ``weights`` [B, T] count them
        (0 on padding, where the target may be anything valid).
        """
        rows, columns = torch.nonzero(weights, as_tuple=True)
        losses = softmax_losses(
            self(sequences)[rows, columns], self.item_vectors(), targets[rows, columns]
        )
        total = torch.zeros(len(sequences), dtype=losses.dtype, device=losses.device)
        return total.index_add(0, rows, losses * weights[rows, columns])


class TokenwiseTail(ABC):
    """A surrogate whose last attention output matrix is followed by token-wise layers only.

    Everything before that matrix can then be run once and kept; what follows it is a function of
    single tokens. Influence through ``attention_output`` needs no other pass over the model.
    """

    @abstractmethod
    def before_attention_output(self, sequences: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T] → what enters the matrix and what is added to its output, each [B, T, d]."""

    @abstractmethod
    def after_attention_output(self, projected: Tensor, residual: Tensor) -> Tensor:
        """The matrix's output (bias excluded) and the residual, [..., d] each → states [..., d]."""

    @abstractmethod
    def attention_output_name(self) -> str:
        """Name of the matrix (as in ``named_parameters``), which is applied as ``x @ W.T``."""


def softmax_losses(states: Tensor, item_vectors: Tensor, targets: Tensor) -> Tensor:
    """[M] cross-entropies over the catalogue of [M, d] states, [I, d] items, [M] targets."""
    logits = states @ item_vectors.T
    chosen = logits.gather(1, targets[:, None]).squeeze(1)
    return torch.logsumexp(logits, 1) - chosen
