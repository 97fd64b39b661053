"""GRU4Rec: recommendation with a recurrent network of gated units (Hidasi et al., ICLR 2016)."""

import math

import torch
from torch import Tensor, nn

from dealrec.config import SurrogateConfig
from dealrec.surrogates.layers import Dropout
from dealrec.surrogates.tied import TiedSurrogate, initialise


class GatedUnits(nn.Module):
    """A layer of gated recurrent units that starts from a zero state (Cho et al., 2014).

    It computes what ``torch.nn.GRU`` with its two bias vectors computes. It is written out because the
    kernels of the library have no forward-mode derivatives.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.input = nn.Linear(size, 3 * size)
        self.hidden = nn.Linear(size, 3 * size)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1 / math.sqrt(size), 1 / math.sqrt(size))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map inputs [B, T, d] to states [B, T, d]."""
        state = torch.zeros_like(inputs[:, 0])
        states = []
        for gates in self.input(inputs).unbind(1):
            reset, update, candidate = gates.chunk(3, dim=1)
            from_reset, from_update, from_candidate = self.hidden(state).chunk(3, dim=1)
            reset = torch.sigmoid(reset + from_reset)
            update = torch.sigmoid(update + from_update)
            candidate = torch.tanh(candidate + reset * from_candidate)
            state = candidate + update * (state - candidate)
            states.append(state)
        return torch.stack(states, dim=1)


class GRU4Rec(TiedSurrogate):
    """Layers of gated units over the items, and a projection that is added to their last state.

    The sum is normalised. The projection is the model's last matrix after positions are mixed. So it
    takes the place of a transformer's last attention output, in the parameter set of that name.
    """

    def __init__(self, n_items: int, config: SurrogateConfig) -> None:
        super().__init__(n_items, config)
        size = config.hidden_size
        self.dropout = Dropout(config.dropout)
        self.units = nn.ModuleList(GatedUnits(size) for _ in range(config.layers))
        self.projection = nn.Linear(size, size)
        self.projection_norm = nn.LayerNorm(size)
        initialise(self.item_embedding)
        initialise(self.projection)

    def forward(self, sequences: Tensor) -> Tensor:
        """Map sequences [B, T] int64 to states [B, T, d]."""
        hidden, _ = self.before_attention_output(sequences)
        projected = nn.functional.linear(hidden, self.projection.weight)
        return self.after_attention_output(projected, hidden)

    def before_attention_output(self, sequences: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the recurrent states [B, T, d], the projection's input and its residual alike."""
        hidden = self.item_embedding(sequences)
        for layer in self.units:
            hidden = layer(self.dropout(hidden))
        return hidden, hidden

    def after_attention_output(self, projected: Tensor, residual: Tensor) -> Tensor:
        """Apply dropout, sum and normalisation token by token."""
        added = self.dropout(projected + self.projection.bias)
        normalised: Tensor = self.projection_norm(residual + added)
        return normalised

    def attention_output_name(self) -> str:
        """Return the name of the projection matrix."""
        return "projection.weight"

    def last_block(self) -> tuple[str, ...]:
        """Return the prefixes of the last layer of units, the projection and its normalisation."""
        return f"units.{len(self.units) - 1}.", "projection.", "projection_norm."
