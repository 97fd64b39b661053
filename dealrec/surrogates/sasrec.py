"""SASRec: self-attentive sequential recommendation (Kang and McAuley, ICDM 2018)."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dealrec.config import InfluenceParameters, SurrogateConfig
from dealrec.surrogates.interface import Surrogate, TokenwiseTail
from dealrec.surrogates.layers import Dropout


class SelfAttention(nn.Module):
    """Causal multi-head attention, written out: fused kernels lack forward-mode derivatives."""

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(size, 3 * size)
        self.output = nn.Linear(size, size)
        self.dropout = Dropout(dropout)

    def context(self, hidden: Tensor) -> Tensor:
        """[B, T, d] → [B, T, d], what the heads gather; the output matrix is not applied yet."""
        batch, length, size = hidden.shape
        query, key, value = (
            part.view(batch, length, self.heads, -1).transpose(1, 2)
            for part in self.query_key_value(hidden).chunk(3, dim=-1)
        )
        weights = query @ key.transpose(2, 3) / math.sqrt(size // self.heads)
        future = torch.ones(length, length, dtype=torch.bool, device=hidden.device).triu(1)
        weights = weights.masked_fill(future, -math.inf).softmax(-1)
        gathered: Tensor = weights @ value
        return gathered.transpose(1, 2).reshape(batch, length, size)


class Block(nn.Module):
    """Attention and a feed-forward layer, each added to its input and then normalised (post-LN)."""

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = SelfAttention(size, heads, dropout)
        self.attention_norm = nn.LayerNorm(size)
        self.inner = nn.Linear(size, size)
        self.outer = nn.Linear(size, size)
        self.feed_forward_norm = nn.LayerNorm(size)
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor) -> Tensor:
        """[B, T, d] → [B, T, d]."""
        attention = self.attention
        projected = nn.functional.linear(attention.context(hidden), attention.output.weight)
        return self.after_attention(projected, hidden)

    def after_attention(self, projected: Tensor, residual: Tensor) -> Tensor:
        """The output matrix's product and the block's input, [..., d] each → [..., d]."""
        hidden = projected + self.attention.output.bias
        hidden = self.attention_norm(residual + self.dropout(hidden))
        outer = self.dropout(self.outer(torch.relu(self.inner(hidden))))
        normalised: Tensor = self.feed_forward_norm(hidden + outer)
        return normalised


class SASRec(Surrogate, TokenwiseTail):
    """Post-LN transformer over items and positions; input and output share the item vectors."""

    def __init__(self, n_items: int, config: SurrogateConfig) -> None:
        super().__init__()
        self.n_items = n_items
        self.max_length = config.max_length
        size = config.hidden_size
        self.item_embedding = nn.Embedding(n_items + 1, size, padding_idx=n_items)
        self.position_embedding = nn.Embedding(config.max_length, size)
        self.embedding_norm = nn.LayerNorm(size)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            Block(size, config.heads, config.dropout) for _ in range(config.layers)
        )
        self.apply(_initialise)

    def forward(self, sequences: Tensor) -> Tensor:
        """[B, T] int64 → [B, T, d] states."""
        hidden = self._embed(sequences)
        for block in self.blocks:
            hidden = block(hidden)
        return hidden

    def item_vectors(self) -> Tensor:
        """[I, d], the rows of the input embedding."""
        return self.item_embedding.weight[: self.n_items]

    def vectors_of(self, items: Tensor) -> Tensor:
        """[...] → [..., d], by a lookup whose backward pass is cheaper than a slice's."""
        return nn.functional.embedding(items, self.item_embedding.weight)

    def parameter_sets(self) -> Mapping[InfluenceParameters, tuple[str, ...]]:
        """All four sets; ``item_embedding`` acts both on the input and on the output."""
        names = [name for name, _ in self.named_parameters()]
        last = f"blocks.{len(self.blocks) - 1}."
        return {
            InfluenceParameters.ATTENTION_OUTPUT: (self.attention_output_name(),),
            InfluenceParameters.ITEM_EMBEDDING: ("item_embedding.weight",),
            InfluenceParameters.LAST_BLOCK: tuple(name for name in names if name.startswith(last)),
            InfluenceParameters.ALL: tuple(names),
        }

    def before_attention_output(self, sequences: Tensor) -> tuple[Tensor, Tensor]:
        """[B, T] → the last block's attention context and that block's input, [B, T, d] each."""
        hidden = self._embed(sequences)
        for block in list(self.blocks)[:-1]:
            hidden = block(hidden)
        return self._last_block.attention.context(hidden), hidden

    def after_attention_output(self, projected: Tensor, residual: Tensor) -> Tensor:
        """The rest of the last block, token by token."""
        return self._last_block.after_attention(projected, residual)

    def attention_output_name(self) -> str:
        """The output matrix of the last block's attention."""
        return f"blocks.{len(self.blocks) - 1}.attention.output.weight"

    @property
    def _last_block(self) -> Block:
        block = self.blocks[-1]
        assert isinstance(block, Block)
        return block

    def _embed(self, sequences: Tensor) -> Tensor:
        positions = torch.arange(sequences.shape[1], device=sequences.device)
        hidden = self.item_embedding(sequences) + self.position_embedding(positions)
        embedded: Tensor = self.dropout(self.embedding_norm(hidden))
        return embedded


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        nn.init.zeros_(module.weight.data[module.padding_idx])
