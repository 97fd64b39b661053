"""Surrogates with one table of item vectors for both the input and the scores."""

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from dealrec.config import InfluenceParameters, SurrogateConfig
from dealrec.surrogates.interface import Surrogate, TokenwiseTail


class TokenwiseSurrogate(Surrogate, TokenwiseTail):
    """A surrogate with a token-wise tail, whose parameter sets follow from the names of its parameters."""

    @abstractmethod
    def last_block(self) -> tuple[str, ...]:
        """Return the prefixes of the names of the parameters in the last block."""

    def parameter_sets(self) -> Mapping[InfluenceParameters, tuple[str, ...]]:
        """Return the parameters of the attention output, of the last block, and of the whole model."""
        names = [name for name, _ in self.named_parameters()]
        last = tuple(name for name in names if name.startswith(self.last_block()))
        return {
            InfluenceParameters.ATTENTION_OUTPUT: (self.attention_output_name(),),
            InfluenceParameters.LAST_BLOCK: last,
            InfluenceParameters.ALL: tuple(names),
        }


class TiedSurrogate(TokenwiseSurrogate):
    """A surrogate whose input and scores use the same item vectors."""

    def __init__(self, n_items: int, config: SurrogateConfig, *, special_items: int = 0) -> None:
        """Make the item embedding, with ``special_items`` rows after padding that are never scored."""
        super().__init__()
        self.n_items = n_items
        self.max_length = config.max_length
        self.item_embedding = nn.Embedding(
            n_items + 1 + special_items, config.hidden_size, padding_idx=n_items
        )

    def item_vectors(self) -> Tensor:
        """Return the item rows [I, d] of the input embedding."""
        return self.item_embedding.weight[: self.n_items]

    def vectors_of(self, items: Tensor) -> Tensor:
        """Map items [...] to vectors [..., d] by a lookup, whose backward is cheaper than a slice's."""
        return nn.functional.embedding(items, self.item_embedding.weight)


def initialise(module: nn.Module) -> None:
    """Draw normal weights of standard deviation 0.02; set biases and the padding vector to zero."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        nn.init.zeros_(module.weight.data[module.padding_idx])
