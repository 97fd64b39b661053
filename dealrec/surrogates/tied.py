"""What the surrogates here share: one table of item vectors, for the input and for the scores."""

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from dealrec.config import InfluenceParameters, SurrogateConfig
from dealrec.surrogates.interface import Surrogate, TokenwiseTail


class TiedSurrogate(Surrogate, TokenwiseTail):
    """A surrogate that reads and scores items by the same vectors."""

    def __init__(self, n_items: int, config: SurrogateConfig, *, special_items: int = 0) -> None:
        """``special_items`` are rows after the padding item's, which are never scored."""
        super().__init__()
        self.n_items = n_items
        self.max_length = config.max_length
        self.item_embedding = nn.Embedding(
            n_items + 1 + special_items, config.hidden_size, padding_idx=n_items
        )

    @abstractmethod
    def last_block(self) -> tuple[str, ...]:
        """Prefixes of the names of the parameters in the last block."""

    def item_vectors(self) -> Tensor:
        """[I, d], the rows of the input embedding."""
        return self.item_embedding.weight[: self.n_items]

    def vectors_of(self, items: Tensor) -> Tensor:
        """[...] → [..., d], by a lookup whose backward pass is cheaper than a slice's."""
        return nn.functional.embedding(items, self.item_embedding.weight)

    def parameter_sets(self) -> Mapping[InfluenceParameters, tuple[str, ...]]:
        """All that are named by parameters."""
        names = [name for name, _ in self.named_parameters()]
        last = tuple(name for name in names if name.startswith(self.last_block()))
        return {
            InfluenceParameters.ATTENTION_OUTPUT: (self.attention_output_name(),),
            InfluenceParameters.LAST_BLOCK: last,
            InfluenceParameters.ALL: tuple(names),
        }


def initialise(module: nn.Module) -> None:
    """Normal weights of standard deviation 0.02, zero biases, a zero vector for padding."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        nn.init.zeros_(module.weight.data[module.padding_idx])
