"""The interface of surrogates, which training, evaluation and influence use."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from dealrec.config import InfluenceParameters
from dealrec.data.dataset import Dataset
from dealrec.errors import FieldError, InputError


class TrainingStates(NamedTuple):
    """What a training step needs of a batch of sequences."""

    states: Tensor
    """[M, d] the states."""
    targets: Tensor
    """[M] int64 the items that they must predict."""
    added: Tensor | None = None
    """A number that training adds to the mean loss, for a model with a loss of its own beside it."""


class Surrogate(nn.Module, ABC):
    """A sequential recommender whose scores are inner products with item vectors.

    In the shapes below there are ``B`` sequences of ``T`` items, ``I`` items in the catalogue, and
    states of ``d`` numbers. ``state[b, t] · item_vectors[i]`` is the score of item ``i`` as the item
    after ``t``. Sequences are int64 dense item indices, oldest first, padded **on the right** with
    ``n_items``. State ``t`` depends on items ``0..t`` of its own row alone. So it never depends on its
    target, padding does not change the state of a real item, and no sample of a batch changes another.
    What a model takes from the training data beside its parameters (:meth:`prepare`) is fixed for all of
    these: influence neither differentiates nor changes it.

    The constructor of a subclass takes ``(n_items, SurrogateConfig)``. Models are called through
    ``torch.func.functional_call``: ``forward`` only reads parameters, and all operations have first
    and second derivatives in both modes (explicit attention, written-out recurrence, no fused
    kernels).
    """

    n_items: int
    max_length: int
    goes_on: ClassVar[bool] = True
    """Whether the training can go on when the data have grown; not where :meth:`prepare` gives the same
    items other inputs then."""

    @abstractmethod
    def forward(self, sequences: Tensor) -> Tensor:
        """Map sequences [B, T] int64, ``T`` at most ``max_length``, to states [B, T, d]."""

    def prepare(self, dataset: Dataset) -> None:
        """Take what the model needs of the training interactions and the items, as buffers.

        It is called once, before training, and draws no random numbers. Loading a stored model restores
        the buffers instead.

        Raises:
            InputError: The data do not have what the model needs.
        """

    @abstractmethod
    def item_vectors(self) -> Tensor:
        """Return the [I, d] item vectors, without the padding item."""

    @abstractmethod
    def parameter_sets(self) -> Mapping[InfluenceParameters, tuple[str, ...]]:
        """Return the parameters (by their names in ``named_parameters``) of each set of this model.

        ``item_embedding`` is left out, since it stands for :meth:`item_vectors` in every model.
        """

    def parameters_in(self, parameters: InfluenceParameters) -> tuple[str, ...]:
        """Return the parameters' names in one set.

        Raises:
            InputError: ``invalid_config`` if this model has no such set.
        """
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
        """Compute the states [M, d] at ``M`` places (row, column) of [B, T] sequences.

        The result equals the same places of ``forward``. A model in which each state costs a pass
        overrides this method.
        """
        states: Tensor = self(sequences)[rows, columns]
        return states

    def training_states(self, sequences: Tensor) -> TrainingStates:
        """Compute the training states [M, d] of whole sequences, and the [M] items they must predict.

        ``sequences`` is [B, T + 1], padded, of at most ``max_length + 1`` items. By default every item
        after the first is predicted from the state before it. Training also takes a pair
        (states, targets).
        """
        targets = sequences[:, 1:]
        real = targets != self.n_items
        return TrainingStates(self(sequences[:, :-1])[real], targets[real])

    def vectors_of(self, items: Tensor) -> Tensor:
        """Map items [...] int64 to their rows [..., d] of :meth:`item_vectors`."""
        return self.item_vectors()[items]

    def scores(self, sequences: Tensor, lengths: Tensor) -> Tensor:
        """Compute the [B, I] scores of all items as the item after each sequence's last one.

        ``lengths`` [B] int64 counts the real items of each row, at least 1.
        """
        rows = torch.arange(len(sequences), device=sequences.device)
        scores: Tensor = self.states_at(sequences, rows, lengths - 1) @ self.item_vectors().T
        return scores

    def ranker(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return :meth:`scores` of the present parameters, for many calls without derivatives.

        A model overrides this method where much of a call does not depend on the sequences.
        """
        return self.scores

    def sample_losses(self, sequences: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Compute the [B] weighted sums of the full-softmax losses of each row's positions.

        ``targets`` [B, T] are the items that follow the positions. ``weights`` [B, T] weight their
        losses and are 0 on padding, where the target may be any valid item.
        """
        rows, columns = torch.nonzero(weights, as_tuple=True)
        losses = softmax_losses(
            self.states_at(sequences, rows, columns), self.item_vectors(), targets[rows, columns]
        )
        total = torch.zeros(len(sequences), dtype=losses.dtype, device=losses.device)
        return total.index_add(0, rows, losses * weights[rows, columns])


class TokenwiseTail(ABC):
    """A surrogate in which only token-wise layers follow the last matrix after mixing positions.

    That matrix (the output of the last attention, or the projection of a recurrent state) is
    ``InfluenceParameters.ATTENTION_OUTPUT``. The layers before it can run once, and the layers after
    it are functions of single tokens. So influence through the matrix needs no further pass over the
    model.
    """

    @abstractmethod
    def before_attention_output(self, sequences: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the matrix's input [B, T, d], and the residual [B, T, r] that joins its output.

        The residual is all that the layers after the matrix need of a token, often ``r = d`` numbers
        that are added.
        """

    @abstractmethod
    def after_attention_output(self, projected: Tensor, residual: Tensor) -> Tensor:
        """Map the matrix's output [..., d] without its bias and the residual [..., r] to states [..., d]."""

    @abstractmethod
    def attention_output_name(self) -> str:
        """Return the name (in ``named_parameters``) of the matrix, which is applied as ``x @ W.T``."""

    def entering_at(
        self, sequences: Tensor, rows: Tensor, columns: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute :meth:`before_attention_output` at ``M`` places (row, column), [M, d] and [M, r]."""
        entering, residual = self.before_attention_output(sequences)
        return entering[rows, columns], residual[rows, columns]


def softmax_losses(states: Tensor, item_vectors: Tensor, targets: Tensor) -> Tensor:
    """Compute [M] cross-entropies over the catalogue from [M, d] states, [I, d] items, [M] targets."""
    logits = states @ item_vectors.T
    chosen = logits.gather(1, targets[:, None]).squeeze(1)
    return torch.logsumexp(logits, 1) - chosen
