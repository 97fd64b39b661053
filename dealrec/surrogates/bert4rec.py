"""BERT4Rec: sequential recommendation by filling in masked items (Sun et al., CIKM 2019)."""

import torch
from torch import Tensor, nn

from dealrec.config import SurrogateConfig
from dealrec.surrogates.layers import Dropout
from dealrec.surrogates.tied import TiedSurrogate, initialise
from dealrec.surrogates.transformer import Block, Blocks


class BERT4Rec(TiedSurrogate):
    """Post-LN transformer that looks both ways, with a mask in the place of what it must name.

    The state of an item ``t`` is that of a mask appended to items ``0..t``, so it does not see its
    target, and ``L(s)`` of a sample is the loss at such a mask: what the model is asked when it
    recommends. Unlike a causal model's, the states of one sequence share nothing: each costs a pass
    over its own prefix. Training is the paper's: random items of a sequence are masked at once, and
    each sees the others on both sides; of ``L(s)`` it is a stand-in, not the same loss.

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
        """[B, T] int64 → [B, T, d] states, at the cost of a pass over every prefix."""
        states = self.states_at(sequences, *_everywhere(sequences))
        return states.view(*sequences.shape, -1)

    def states_at(self, sequences: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """[M, d]: one pass over each of the ``M`` prefixes."""
        hidden = self.blocks.through(*self._embed(self._masked_after(sequences, rows, columns)))
        return hidden[torch.arange(len(rows), device=rows.device), columns + 1]

    def training_states(self, sequences: Tensor) -> tuple[Tensor, Tensor]:
        """States at masks that hide random items, ``mask_rate`` of all, and these items.

        A sequence of which none was drawn has its last item masked. Draws from torch's global random
        state (on the CPU, for any device).
        """
        real = sequences != self.n_items
        masked = (torch.rand(sequences.shape) < self.mask_rate).to(real.device) & real
        rows = torch.nonzero(~masked.any(1)).squeeze(1)
        masked[rows, real[rows].sum(1) - 1] = True
        hidden = self.blocks.through(*self._embed(sequences.masked_fill(masked, self.mask)))
        return hidden[masked], sequences[masked]

    def before_attention_output(self, sequences: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T] → the last block's attention context and that block's input, [B, T, d] each."""
        entering, residual = self.entering_at(sequences, *_everywhere(sequences))
        return entering.view(*sequences.shape, -1), residual.view(*sequences.shape, -1)

    def entering_at(
        self, sequences: Tensor, rows: Tensor, columns: Tensor
    ) -> tuple[Tensor, Tensor]:
        """[M, d] each: one pass over each of the ``M`` prefixes."""
        tokens = self._masked_after(sequences, rows, columns)
        entering, residual = self.blocks.before_last_output(*self._embed(tokens))
        prefixes = torch.arange(len(rows), device=rows.device)
        return entering[prefixes, columns + 1], residual[prefixes, columns + 1]

    def after_attention_output(self, projected: Tensor, residual: Tensor) -> Tensor:
        """The rest of the last block, token by token."""
        return self.blocks.last.after_attention(projected, residual)

    def attention_output_name(self) -> str:
        """The output matrix of the last block's attention."""
        return f"blocks.{len(self.blocks) - 1}.attention.output.weight"

    def last_block(self) -> tuple[str, ...]:
        """The last transformer block."""
        return (f"blocks.{len(self.blocks) - 1}.",)

    def _masked_after(self, sequences: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """[M, ≤ T + 1] the items up to each place (row, column), a mask, and padding."""
        places = torch.arange(sequences.shape[1] + 1, device=sequences.device)
        tokens = nn.functional.pad(sequences, (0, 1), value=self.n_items)[rows]
        tokens = tokens.masked_fill(places > columns[:, None], self.n_items)
        return tokens.masked_fill(places == columns[:, None] + 1, self.mask)

    def _embed(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """What enters the blocks, [B, T, d], and the padding, which none looks at, [B, 1, 1, T]."""
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        hidden = self.item_embedding(tokens) + self.position_embedding(positions)
        embedded: Tensor = self.dropout(self.embedding_norm(hidden))
        return embedded, (tokens == self.n_items)[:, None, None]


def _everywhere(sequences: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of all places, row after row, [B × T] each."""
    batch, length = sequences.shape
    rows = torch.arange(batch, device=sequences.device).repeat_interleave(length)
    return rows, torch.arange(length, device=sequences.device).repeat(batch)
