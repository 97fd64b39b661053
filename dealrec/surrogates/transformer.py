"""Transformer blocks with first and second derivatives in both modes, and surrogates made of them."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from dealrec.surrogates.layers import Dropout
from dealrec.surrogates.tied import TiedSurrogate


class SelfAttention(nn.Module):
    """Multi-head attention, written out because fused kernels lack forward-mode derivatives."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(size, 3 * size)
        self.output = nn.Linear(size, size)

    def context(self, hidden: Tensor, unseen: Tensor) -> Tensor:
        """Map hidden states [B, T, d] to the heads' outputs [B, T, d], before the output matrix.

        ``unseen`` is bool and broadcasts to [B, heads, T, T]. It marks the positions (columns) to
        which a position (row) does not attend. Every position attends to at least one.
        """
        batch, length, size = hidden.shape
        query, key, value = (
            part.view(batch, length, self.heads, -1).transpose(1, 2)
            for part in self.query_key_value(hidden).chunk(3, dim=-1)
        )
        weights = query @ key.transpose(2, 3) / math.sqrt(size // self.heads)
        weights = weights.masked_fill(unseen, -math.inf).softmax(-1)
        gathered: Tensor = weights @ value
        return gathered.transpose(1, 2).reshape(batch, length, size)

    def context_at(self, hidden: Tensor, columns: Tensor, unseen: Tensor) -> Tensor:
        """Compute :meth:`context` at one position of each row, [B, d]; ``unseen`` is [T, T]."""
        batch, length, size = hidden.shape
        asking = hidden[torch.arange(batch, device=hidden.device), columns]
        weight, bias = self.query_key_value.weight, self.query_key_value.bias
        query = nn.functional.linear(asking, weight[:size], bias[:size])
        key, value = (
            part.view(batch, length, self.heads, -1).transpose(1, 2)
            for part in nn.functional.linear(hidden, weight[size:], bias[size:]).chunk(2, dim=-1)
        )
        query = query.view(batch, self.heads, 1, -1)
        weights = query @ key.transpose(2, 3) / math.sqrt(size // self.heads)
        weights = weights.masked_fill(unseen[columns, None, None], -math.inf).softmax(-1)
        return (weights @ value).reshape(batch, size)


class Block(nn.Module):
    """Attention and a feed-forward layer; each output is added to its input and normalised (post-LN)."""

    def __init__(
        self,
        size: int,
        heads: int,
        dropout: float,
        inner_size: int,
        activation: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__()
        self.attention = SelfAttention(size, heads)
        self.attention_norm = nn.LayerNorm(size)
        self.inner = nn.Linear(size, inner_size)
        self.outer = nn.Linear(inner_size, size)
        self.feed_forward_norm = nn.LayerNorm(size)
        self.dropout = Dropout(dropout)
        self.activation = activation

    def forward(self, hidden: Tensor, unseen: Tensor) -> Tensor:
        """Map hidden states [B, T, d] to hidden states [B, T, d]."""
        attention = self.attention
        context = attention.context(hidden, unseen)
        return self.after_attention(nn.functional.linear(context, attention.output.weight), hidden)

    def after_attention(self, projected: Tensor, residual: Tensor) -> Tensor:
        """Compute the block's output [..., d] from the output matrix's product and the block's input."""
        hidden = projected + self.attention.output.bias
        hidden = self.attention_norm(residual + self.dropout(hidden))
        outer = self.dropout(self.outer(self.activation(self.inner(hidden))))
        normalised: Tensor = self.feed_forward_norm(hidden + outer)
        return normalised


class Blocks(nn.ModuleList):
    """A stack of blocks that runs whole or up to the last attention's output matrix."""

    def through(self, hidden: Tensor, unseen: Tensor) -> Tensor:
        """Map hidden states [B, T, d] to hidden states [B, T, d]."""
        for block in self:
            hidden = block(hidden, unseen)
        return hidden

    def before_last_output(self, hidden: Tensor, unseen: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the last block's attention context and that block's input, [B, T, d] each."""
        for block in list(self)[:-1]:
            hidden = block(hidden, unseen)
        return self.last.attention.context(hidden, unseen), hidden

    def before_last_output_at(
        self, hidden: Tensor, unseen: Tensor, columns: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute :meth:`before_last_output` at one position of each row, [B, d]; ``unseen`` is [T, T]."""
        for block in list(self)[:-1]:
            hidden = block(hidden, unseen)
        rows = torch.arange(len(columns), device=columns.device)
        return self.last.attention.context_at(hidden, columns, unseen), hidden[rows, columns]

    @property
    def last(self) -> Block:
        """The last block."""
        block = self[-1]
        assert isinstance(block, Block)
        return block


class TransformerSurrogate(TiedSurrogate):
    """A surrogate whose states are those of its last transformer block."""

    blocks: Blocks

    def after_attention_output(self, projected: Tensor, residual: Tensor) -> Tensor:
        """Apply the rest of the last block token by token."""
        return self.blocks.last.after_attention(projected, residual)

    def attention_output_name(self) -> str:
        """Return the name of the output matrix of the last block's attention."""
        return f"blocks.{len(self.blocks) - 1}.attention.output.weight"

    def last_block(self) -> tuple[str, ...]:
        """Return the prefix of the last transformer block."""
        return (f"blocks.{len(self.blocks) - 1}.",)
