"""BERT4Rec: sequential recommendation by filling in masked items (Sun et al., CIKM 2019)."""

import torch
from torch import Tensor, nn

from dealrec.config import SurrogateConfig
from dealrec.surrogates.interface import TrainingStates
from dealrec.surrogates.layers import Dropout
from dealrec.surrogates.tied import initialise
from dealrec.surrogates.transformer import Block, Blocks, TransformerSurrogate


class BERT4Rec(TransformerSurrogate):
    """Post-LN transformer with attention in both directions and a mask for the item to predict.

    The state of item ``t`` is the state of a mask appended to items ``0..t``, so it does not see its
    target. The loss ``L(s)`` of a sample is the loss at such a mask, as in recommending. The states
    of one sequence share no computation, unlike those of a causal model: each costs a pass over its
    own prefix. Training follows the paper: random items of a sequence are masked together, and each
    sees the others on both sides. So the training loss is a proxy of ``L(s)``.

    The paper's projection and item biases before the softmax are left out, so that scores are inner
    products.
    """

    def __init__(self, n_items: int, config: SurrogateConfig) -> None:
        super().__init__(n_items, config, special_items=1)
        self.mask = n_items + 1
        self.mask_rate = config.mask_rate
        size = config.hidden_size
        self.position_embedding = nn.Embedding(config.max_length + 1, size)
        self.embedding_norm = nn.LayerNorm(size)
        self.dropout = Dropout(config.dropout)
        self.blocks = Blocks(
            Block(size, config.heads, config.dropout, 4 * size, nn.functional.gelu)
            for _ in range(config.layers)
        )
        self.apply(initialise)

    def forward(self, sequences: Tensor) -> Tensor:
        """Map sequences [B, T] int64 to states [B, T, d] by a pass over every prefix."""
        states = self.states_at(sequences, *_everywhere(sequences))
        return states.view(*sequences.shape, -1)

    def states_at(self, sequences: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Compute the states [M, d] by one pass over each of the ``M`` prefixes."""
        hidden = self.blocks.through(*self._embed(self._masked_after(sequences, rows, columns)))
        return hidden[torch.arange(len(rows), device=rows.device), columns + 1]

    def training_states(self, sequences: Tensor) -> TrainingStates:
        """Mask a random ``mask_rate`` of all items; return the masks' states [M, d] and the [M] items.

        A sequence without a drawn item has its last item masked. The draws come from torch's global
        random state on the CPU, for any device.
        """
        real = sequences != self.n_items
        masked = (torch.rand(sequences.shape) < self.mask_rate).to(real.device) & real
        rows = torch.nonzero(~masked.any(1)).squeeze(1)
        masked[rows, real[rows].sum(1) - 1] = True
        hidden = self.blocks.through(*self._embed(sequences.masked_fill(masked, self.mask)))
        return TrainingStates(hidden[masked], sequences[masked])

    def before_attention_output(self, sequences: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the last block's attention context and that block's input, [B, T, d] each."""
        entering, residual = self.entering_at(sequences, *_everywhere(sequences))
        return entering.view(*sequences.shape, -1), residual.view(*sequences.shape, -1)

    def entering_at(
        self, sequences: Tensor, rows: Tensor, columns: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute both, [M, d] each, by one pass over each of the ``M`` prefixes."""
        tokens = self._masked_after(sequences, rows, columns)
        entering, residual = self.blocks.before_last_output(*self._embed(tokens))
        prefixes = torch.arange(len(rows), device=rows.device)
        return entering[prefixes, columns + 1], residual[prefixes, columns + 1]

    def _masked_after(self, sequences: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return [M, ≤ T + 1] tokens: the items up to each place (row, column), a mask, padding."""
        places = torch.arange(sequences.shape[1] + 1, device=sequences.device)
        tokens = nn.functional.pad(sequences, (0, 1), value=self.n_items)[rows]
        tokens = tokens.masked_fill(places > columns[:, None], self.n_items)
        return tokens.masked_fill(places == columns[:, None] + 1, self.mask)

    def _embed(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the blocks' input [B, T, d], and the padding [B, 1, 1, T], which is not attended to."""
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        hidden = self.item_embedding(tokens) + self.position_embedding(positions)
        embedded: Tensor = self.dropout(self.embedding_norm(hidden))
        return embedded, (tokens == self.n_items)[:, None, None]


def _everywhere(sequences: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows and columns of all places, row after row, [B × T] each."""
    batch, length = sequences.shape
    rows = torch.arange(batch, device=sequences.device).repeat_interleave(length)
    return rows, torch.arange(length, device=sequences.device).repeat(batch)
