"""The training loss of an encoder: a softmax over titles of the catalogue, a draw, or the batch."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from dealrec.config.finetune import EncoderSoftmax, FinetuneConfig
from dealrec.language_models.tokens import EncodedSample
from dealrec.recommenders.title_history import TitleHistory, chosen

_DRAWN = 256
"""Titles in a softmax where layers are adapted, so that each must be read anew in every step."""
_UNIFORM = 0.5
"""The share of draws over the whole catalogue; the others go by how often a title is an answer."""


class TitleEncoder(Protocol):
    """The part of an encoder that the loss looks at."""

    finetune: FinetuneConfig
    titles: list[EncodedSample]

    @property
    def frozen(self) -> bool: ...

    def vectors(self, histories: Sequence[EncodedSample] | Sequence[TitleHistory]) -> Tensor: ...

    def title_vectors(self, places: Tensor | None = None) -> Tensor: ...


class TitleSoftmax:
    """Cross-entropy of each sample's title among all ``D`` of the catalogue; one term a sample.

    Where ``n`` titles are drawn with the probabilities ``q`` instead, ``Σ_{j≠y} exp(s_j)`` is estimated
    by ``Σ exp(s_j - log(n q_j))`` over the drawn ``j ≠ y``, which has the right expectation (Bengio and
    Senécal, IEEE Transactions on Neural Networks 2008). Half of the draws are uniform, the others go by
    how often a title is an answer (mixed negatives: Yang et al., WWW Companion 2020).

    With :attr:`EncoderSoftmax.BATCH` the titles are the answers of the samples that are held together,
    each as often as it is there. The logit that is best under this loss is ``log p(y | history) - log
    p(y)`` up to a constant of the history (van den Oord et al., "Representation Learning with
    Contrastive Predictive Coding", arXiv 1807.03748).
    """

    def __init__(
        self,
        encoder: TitleEncoder,
        histories: Sequence[EncodedSample] | Sequence[TitleHistory],
        labels: Sequence[int],
    ) -> None:
        self._encoder, self._histories = encoder, histories
        self._labels = torch.tensor(labels, dtype=torch.long)
        self.lengths = [len(history) for history in histories]
        self.targets = [1] * len(histories)
        # Nothing but vectors is held where the language model stays as it is.
        self.held = self.targets if encoder.frozen else self.lengths
        titles, asked = len(encoder.titles), encoder.finetune.encoder.negatives
        drawn = asked if asked is not None else titles if encoder.frozen else _DRAWN
        self._drawn = drawn if drawn < titles else None
        counts = torch.bincount(self._labels, minlength=titles).double()
        self._chances = _UNIFORM / titles + (1 - _UNIFORM) * counts / counts.sum()

    def loss_sum(self, samples: Sequence[int]) -> Tensor:
        """As :meth:`Objective.loss_sum`; titles are drawn by torch's generator."""
        temperature = self._encoder.finetune.encoder.temperature
        users = self._encoder.vectors(chosen(self._histories, samples)) / temperature
        labels = self._labels[list(samples)]
        if self._encoder.finetune.encoder.softmax is EncoderSoftmax.BATCH:
            there, own, counts = torch.unique(labels, return_inverse=True, return_counts=True)
            logits = users @ self._encoder.title_vectors(there).T + counts.log().to(users)
            return nn.functional.cross_entropy(logits, own.to(users.device), reduction="sum")
        if self._drawn is None:
            logits = users @ self._encoder.title_vectors().T
            return nn.functional.cross_entropy(logits, labels.to(users.device), reduction="sum")
        drawn = torch.multinomial(self._chances, self._drawn, replacement=True)
        read, places = torch.unique(torch.cat([labels, drawn]), return_inverse=True)
        titles = self._encoder.title_vectors(read)
        places = places.to(titles.device)
        own = (users * titles[places[: len(labels)]]).sum(1, keepdim=True)
        others = users @ titles[places[len(labels) :]].T
        others = others - torch.log(self._drawn * self._chances[drawn]).to(others)
        same = (labels[:, None] == drawn).to(others.device)
        others = others.masked_fill(same, -torch.inf)
        return (torch.cat([own, others], 1).logsumexp(1) - own[:, 0]).sum()
