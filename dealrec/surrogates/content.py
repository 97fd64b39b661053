"""A small network over the texts of items, which knows items that nobody has chosen yet."""

import torch
from torch import Tensor, nn

from dealrec.config import SurrogateConfig
from dealrec.data.dataset import Dataset
from dealrec.surrogates.item_texts import text_vectors
from dealrec.surrogates.layers import Dropout
from dealrec.surrogates.tied import TokenwiseSurrogate


class ContentRecommender(TokenwiseSurrogate):
    """Items are functions of their texts alone, and a history is the mean of its items and the last one.

    With the vector ``c_i`` of an item's words (:mod:`dealrec.surrogates.item_texts`), GELU ``σ``, the mean
    ``m_t`` of ``e_0..e_t`` and a concatenation ``[,]``::

        e_i = B σ(A c_i + a) + b                                 the items' vectors
        s_t = m_t + P σ(C [m_t, e_t] + c) + p                    the states

    It is a two-tower network, such as that of Covington et al., RecSys 2016, with content vectors in place
    of ids. No item has a parameter of its own. So an item without a single interaction is scored by what
    its words have in common with others; two items of the same words cannot be told apart, and how often
    an item is chosen is known as far as its words tell it.
    """

    goes_on = False  # the axes of the words' vectors turn with every new item
    features: Tensor
    """[I + 1, C] the vectors of the items' words, and 0 for padding."""

    def __init__(self, n_items: int, config: SurrogateConfig) -> None:
        super().__init__()
        self.n_items, self.max_length = n_items, config.max_length
        size = config.hidden_size
        self.register_buffer("features", torch.zeros(n_items + 1, config.content_size))
        self.item_inner = nn.Linear(config.content_size, size)
        self.item_outer = nn.Linear(size, size)
        self.history = nn.Linear(2 * size, size)
        self.projection = nn.Linear(size, size)
        self.dropout = Dropout(config.dropout)

    def prepare(self, dataset: Dataset) -> None:
        """Keep the vectors of the items' words."""
        self.features[: self.n_items] = torch.from_numpy(
            text_vectors(dataset, self.features.shape[1])
        )

    def item_vectors(self) -> Tensor:
        """Compute the vectors [I, d] of all items from their words."""
        return self._from_words(self.features[: self.n_items])

    def vectors_of(self, items: Tensor) -> Tensor:
        """Map items [...] to vectors [..., d], which are computed for them alone."""
        return self._from_words(self.features[items])

    def forward(self, sequences: Tensor) -> Tensor:
        """Map sequences [B, T] int64 to states [B, T, d]."""
        entering, mean = self.before_attention_output(sequences)
        projected = nn.functional.linear(entering, self.projection.weight)
        return self.after_attention_output(projected, mean)

    def before_attention_output(self, sequences: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the input of the projection and the mean of the items so far, [B, T, d] each."""
        items = self.dropout(self.vectors_of(sequences))
        places = torch.arange(1, sequences.shape[1] + 1, device=items.device, dtype=items.dtype)
        mean = items.cumsum(1) / places[:, None]
        entering = nn.functional.gelu(self.history(torch.cat([mean, items], -1)))
        return self.dropout(entering), mean

    def after_attention_output(self, projected: Tensor, residual: Tensor) -> Tensor:
        """Add the mean of the items and the projection, token by token."""
        return residual + projected + self.projection.bias

    def attention_output_name(self) -> str:
        """Return the name of the projection matrix."""
        return "projection.weight"

    def last_block(self) -> tuple[str, ...]:
        """Return the prefixes of the network over the history."""
        return "history.", "projection."

    def _from_words(self, features: Tensor) -> Tensor:
        hidden = nn.functional.gelu(self.item_inner(features))
        vectors: Tensor = self.item_outer(hidden)
        return vectors
