"""What a surrogate is: the one interface that training, evaluation and influence know."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dealrec.config import InfluenceParameters
from dealrec.errors import FieldError, InputError


class Surrogate(nn.Module, ABC):
    """A sequential recommender whose scores are inner products with item vectors.

    With ``B`` sequences of ``T`` items, ``I`` items in the catalogue and states of ``d`` numbers:
    ``state[b, t] · item_vectors[i]`` is the score of item ``i`` as the one after ``t``. Sequences are
    int64 dense item indices, oldest first, padded **on the right** with ``n_items``. State ``t`` looks
    at items ``0..t`` of its own row alone, so it never sees its target, padding changes no state of
    a real item, and no sample of a batch changes another.

    Subclasses are made from ``(n_items, SurrogateConfig)`` and called through
    ``torch.func.functional_call``: parameters are only read in ``forward``, and everything below has
    first and second derivatives in both modes (explicit attention, written-out recurrence, no fused
    kernels).
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
        """Names of the parameters (as in ``named_parameters``) in each set that this model has.

        Without ``item_embedding``, which is :meth:`item_vectors` of any model.
        """

    def parameters_in(self, parameters: InfluenceParameters) -> tuple[str, ...]:
        """The names in one set; raises :class:`InputError` where this model has no such set."""
        sets = self.parameter_sets()
        if parameters not in sets:
            known = ", ".join(sorted({*sets, InfluenceParameters.ITEM_EMBEDDING}))
            raise InputError(
                f"{type(self).__name__} has no parameter set `{parameters}`; it has {known}.",
                code="invalid_config",
                title="The configuration cannot be used",
                errors=[FieldError("config.influence.parameters", f"one of {known}")],
            )
        return sets[parameters]

    def states_at(self, sequences: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """[M, d], the states at the ``M`` places (row, column) of [B, T] sequences.

        The same as picking them from ``forward``; for models in which each state costs a pass.
        """
        states: Tensor = self(sequences)[rows, columns]
        return states

    def training_states(self, sequences: Tensor) -> tuple[Tensor, Tensor]:
        """What the model learns from whole sequences: [M, d] states and the [M] items they must name.

        ``sequences`` is [B, T + 1], padded, of at most ``max_length + 1`` items. Here: every item
        after the first, from the state before it.
        """
        targets = sequences[:, 1:]
        real = targets != self.n_items
        return self(sequences[:, :-1])[real], targets[real]

    def vectors_of(self, items: Tensor) -> Tensor:
        """[...] int64 items → [..., d], rows of :meth:`item_vectors`."""
        return self.item_vectors()[items]

    def scores(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """[B, I] scores of the whole catalogue as the item after each sequence's last one.

        ``lengths`` is [B] int64, the real items of each row, at least 1.
        """
        rows = torch.arange(len(sequences), device=sequences.device)
        scores: Tensor = self.states_at(sequences, rows, lengths - 1) @ self.item_vectors().T
        return scores

    def sample_losses(self, sequences: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """[B] weighted sums of the full-softmax losses of each row's positions.

        ``targets`` [B, T] are the items that follow each position, ``weights`` [B, T] count them
        (0 on padding, where the target may be anything valid).
        """
        rows, columns = torch.nonzero(weights, as_tuple=True)
        losses = softmax_losses(
            self.states_at(sequences, rows, columns), self.item_vectors(), targets[rows, columns]
        )
        total = torch.zeros(len(sequences), dtype=losses.dtype, device=losses.device)
        return total.index_add(0, rows, losses * weights[rows, columns])


class TokenwiseTail(ABC):
    """A surrogate in which only token-wise layers follow the last matrix after mixing positions.

    That matrix (the output of the last attention, the projection of a recurrent state) belongs to
    ``InfluenceParameters.ATTENTION_OUTPUT``. Everything before it can be run once and kept; what
    follows is a function of single tokens. Influence through it needs no other pass over the model.
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

    def entering_at(
        self, sequences: Tensor, rows: Tensor, columns: Tensor
    ) -> tuple[Tensor, Tensor]:
        """:meth:`before_attention_output` at ``M`` places (row, column), [M, d] each."""
        entering, residual = self.before_attention_output(sequences)
        return entering[rows, columns], residual[rows, columns]


def softmax_losses(states: Tensor, item_vectors: Tensor, targets: Tensor) -> Tensor:
    """[M] cross-entropies over the catalogue of [M, d] states, [I, d] items, [M] targets."""
    logits = states @ item_vectors.T
    chosen = logits.gather(1, targets[:, None]).squeeze(1)
    return torch.logsumexp(logits, 1) - chosen
