"""SASRec: self-attentive sequential recommendation (Kang and McAuley, ICDM 2018)."""

import torch
from torch import Tensor, nn

from dealrec.config import SurrogateConfig
from dealrec.surrogates.layers import Dropout
from dealrec.surrogates.tied import TiedSurrogate, initialise
from dealrec.surrogates.transformer import Block, Blocks


class SASRec(TiedSurrogate):
    """Post-LN transformer over items and positions, each looking at itself and what came before."""

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
        """[B, T] int64 → [B, T, d] states."""
        return self.blocks.through(*self._embed(sequences))

    def before_attention_output(self, sequences: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T] → the last block's attention context and that block's input, [B, T, d] each."""
        return self.blocks.before_last_output(*self._embed(sequences))

    def entering_at(
        self, sequences: Tensor, rows: Tensor, columns: Tensor
    ) -> tuple[Tensor, Tensor]:
        """[M, d] each; where each row is asked once, in order, other positions ask nothing."""
        if not torch.equal(rows, torch.arange(len(sequences), device=rows.device)):
            return super().entering_at(sequences, rows, columns)
        return self.blocks.before_last_output_at(*self._embed(sequences), columns)

    def after_attention_output(self, projected: Tensor, residual: Tensor) -> Tensor:
        """The rest of the last block, token by token."""
        return self.blocks.last.after_attention(projected, residual)

    def attention_output_name(self) -> str:
        """The output matrix of the last block's attention."""
        return f"blocks.{len(self.blocks) - 1}.attention.output.weight"

    def last_block(self) -> tuple[str, ...]:
        """The last transformer block."""
        return (f"blocks.{len(self.blocks) - 1}.",)

    def _embed(self, sequences: Tensor) -> tuple[Tensor, Tensor]:
        """What enters the blocks, [B, T, d], and what a position must not look at, [T, T]."""
        length, device = sequences.shape[1], sequences.device
        positions = torch.arange(length, device=device)
        hidden = self.item_embedding(sequences) + self.position_embedding(positions)
        embedded: Tensor = self.dropout(self.embedding_norm(hidden))
        return embedded, torch.ones(length, length, dtype=torch.bool, device=device).triu(1)
