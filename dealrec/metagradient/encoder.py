"""The recommender ``encoder`` over frozen title vectors, as functions of its parameters.

The vector of a title is ``unit(W x + b)``, where ``x`` is the state of the frozen language model. The
vector of a history is the unit vector of the decayed sum of its titles' vectors. The logit of a title is
the cosine of both over the temperature. :class:`~dealrec.recommenders.encoder.EncoderRecommender` trains
the same model with ``encoder.history`` ``titles`` and ``encoder.softmax`` ``batch``; here every sample
also has a weight.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dealrec.selection.titles import NO_TITLE, AskedUsers, Int32, TitleTable

_TINY = 1e-24


class Parameters(NamedTuple):
    """The parameters of the projection."""

    weight: Tensor
    """[d, h]."""
    bias: Tensor
    """[d]."""


@dataclass(frozen=True)
class Titles:
    """Histories and answers as indices of titles: of ``n`` samples, or of validation users."""

    states: Tensor
    """[D, h]."""
    places: Tensor
    """[n, k + c]: ``k`` titles of the history (0 as padding), then ``c`` answers."""
    decays: Tensor
    """[n, k] the weight of each title of the history; 0 for padding."""

    def __len__(self) -> int:
        return len(self.places)

    def vectors(self, parameters: Parameters, part: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit vectors [b, d] of the histories of ``part`` [b], and [b, c, d] of their answers."""
        there, at = torch.unique(self.places[part], return_inverse=True)
        width = self.decays.shape[1]
        found = unit(self.states[there] @ parameters.weight.T + parameters.bias)
        means = (found[at[:, :width]] * self.decays[part][..., None]).sum(1)
        return unit(means), found[at[:, width:]]

    def vectors_along(
        self, parameters: Parameters, along: Parameters, part: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return :meth:`vectors` for one answer each, [b, d], with their derivatives along ``along``."""
        there, at = torch.unique(self.places[part], return_inverse=True)
        states, width, decays = self.states[there], self.decays.shape[1], self.decays[part]
        found, moved = _unit_along(
            states @ parameters.weight.T + parameters.bias, states @ along.weight.T + along.bias
        )
        means = [
            nn.functional.embedding_bag(at[:, :width], each, per_sample_weights=decays, mode="sum")
            for each in (found, moved)
        ]
        return *_unit_along(*means), found[at[:, width]], moved[at[:, width]]


def titles_of_samples(table: TitleTable, decay: float) -> Titles:
    """Convert the samples of ``table``. Its states are copied into memory."""
    states = torch.from_numpy(np.array(table.states))
    return _titles(states, table.histories, table.targets[:, None], decay)


def titles_of_users(samples: Titles, asked: AskedUsers, decay: float) -> Titles:
    """Convert validation users of the same catalogue as ``samples``; their answers are the candidates."""
    return _titles(samples.states, asked.histories, asked.candidates, decay)


def _titles(states: Tensor, histories: Int32, answers: Int32, decay: float) -> Titles:
    there = histories != NO_TITLE
    ages = there.sum(1, keepdims=True) - 1 - np.arange(histories.shape[1])
    decays = np.where(there, decay ** np.where(there, ages, 0), 0.0)
    places = np.concatenate([np.where(there, histories, 0), answers], axis=1)
    return Titles(
        states, torch.from_numpy(places.astype(np.int64)), torch.from_numpy(decays).to(states.dtype)
    )


def weighted_loss(
    titles: Titles, parameters: Parameters, part: Tensor, weights: Tensor, temperature: float
) -> Tensor:
    """Return the weighted mean loss of the samples ``part`` [b]; the softmax is over all their answers.

    A sample of weight ``w`` counts ``w`` times in the mean and in the softmax of each other sample, but
    once in its own softmax. If all ``weights`` [b] are 1, this is the loss of ``encoder.softmax``
    ``batch``, up to a constant that does not depend on the parameters.
    """
    users, answers = titles.vectors(parameters, part)
    logits = users @ answers[:, 0].T / temperature
    own = torch.eye(len(part), dtype=torch.bool, device=logits.device)
    counts = torch.where(own, torch.ones_like(weights), weights[None, :])
    top = logits.detach().amax(1, keepdim=True)
    all_ = ((logits - top).exp() * counts).sum(1).log() + top[:, 0]
    return (weights * (all_ - logits.diagonal())).sum() / weights.sum()


def weight_slopes_along(
    titles: Titles,
    parameters: Parameters,
    along: Parameters,
    part: Tensor,
    members: int,
    temperature: float,
) -> Tensor:
    """Differentiate the derivative of :func:`weighted_loss` by each weight [b] along ``along``.

    The first ``members`` samples of ``part`` have weight 1, and the others 0. The derivative by the
    weight of sample ``i`` is ``(l_i − mean l + Σ_{m≠i} p_m(i)) / members``: its own loss relative to the
    mean, and its probability in the softmax of each member.
    """
    users, d_users, answers, d_answers = titles.vectors_along(parameters, along, part)
    users, d_users = users / temperature, d_users / temperature
    inside, d_inside = answers[:members], d_answers[:members]
    own, d_own = (users * answers).sum(1), (d_users * answers + users * d_answers).sum(1)
    others, d_others = users @ inside.T, d_users @ inside.T + users @ d_inside.T
    others[:members].fill_diagonal_(-torch.inf)
    total = torch.logaddexp(others.logsumexp(1), own)
    d_total = ((others - total[:, None]).exp() * d_others).sum(1) + (own - total).exp() * d_own
    losses = d_total - d_own
    chosen, d_chosen = users[:members], d_users[:members]
    back = (chosen @ answers.T - total[:members, None]).exp()
    back = back * (d_chosen @ answers.T + chosen @ d_answers.T - d_total[:members, None])
    back[:, :members].fill_diagonal_(0.0)
    return (losses - losses[:members].mean() + back.sum(0)) / members


def candidate_logits(titles: Titles, parameters: Parameters) -> Tensor:
    """Return cosines of users and candidates [U, C], minus each candidate's mean cosine over all users.

    The mean of a title is subtracted so that its popularity does not count, as in
    :mod:`~dealrec.metrics.preference`, where the mean is taken over the users who have the title as a
    candidate.
    """
    users, answers = titles.vectors(parameters, torch.arange(len(titles)))
    return torch.einsum("ud,ucd->uc", users - users.mean(0), answers)


def unit(vectors: Tensor) -> Tensor:
    """Scale vectors to length 1. The function is twice differentiable, at zero too."""
    return vectors / (vectors.square().sum(-1, keepdim=True) + _TINY).sqrt()


def _unit_along(vectors: Tensor, moved: Tensor) -> tuple[Tensor, Tensor]:
    lengths = (vectors.square().sum(-1, keepdim=True) + _TINY).sqrt()
    found = vectors / lengths
    return found, (moved - found * (found * moved).sum(-1, keepdim=True)) / lengths
