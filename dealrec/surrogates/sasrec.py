"""SASRec: self-attentive sequential recommendation (Kang and McAuley, ICDM 2018)."""

import torch
from torch import Tensor, nn

from dealrec.config import SurrogateConfig
from dealrec.surrogates.layers import Dropout
from dealrec.surrogates.tied import initialise
from dealrec.surrogates.transformer import Block, Blocks, TransformerSurrogate


class SASRec(TransformerSurrogate):
    """Post-LN transformer over items and positions with causal attention."""

    def __init__(self, n_items: int, config: SurrogateConfig) -> None:
        super().__init__(n_items, config)
        size = config.hidden_size
        self.position_embedding = nn.Embedding(config.max_length, size)
        self.embedding_norm = nn.LayerNorm(size)
        self.dropout = Dropout(config.dropout)
        self.blocks = Blocks(
            Block(size, config.heads, config.dropout, size, torch.relu)
            for _ in range(config.layers)
        )
        self.apply(initialise)

    def forward(self, sequences: Tensor) -> Tensor:
        """Map sequences [B, T] int64 to states [B, T, d]."""
        return self.blocks.through(*self._embed(sequences))

    def states_at(self, sequences: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Compute the states [M, d]; with one place per row in order, the last block runs for these alone."""
        context, residual = self.entering_at(sequences, rows, columns)
        weight = self.blocks.last.attention.output.weight
        return self.after_attention_output(nn.functional.linear(context, weight), residual)

    def before_attention_output(self, sequences: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the last block's attention context and that block's input, [B, T, d] each."""
        return self.blocks.before_last_output(*self._embed(sequences))

    def entering_at(
        self, sequences: Tensor, rows: Tensor, columns: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute both, [M, d] each; with one place per row in order, for these places alone."""
        if not torch.equal(rows, torch.arange(len(sequences), device=rows.device)):
            return super().entering_at(sequences, rows, columns)
        return self.blocks.before_last_output_at(*self._embed(sequences), columns)

    def _embed(self, sequences: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the blocks' input [B, T, d], and the [T, T] mask of the positions not attended to."""
        length, device = sequences.shape[1], sequences.device
        positions = torch.arange(length, device=device)
        hidden = self.item_embedding(sequences) + self.position_embedding(positions)
        embedded: Tensor = self.dropout(self.embedding_norm(hidden))
        return embedded, torch.ones(length, length, dtype=torch.bool, device=device).triu(1)
